"""How many records a program logs, through `logging.setLogRecordFactory`.

That hook sees each record once, where it is made: after the logger's level was checked, before any filter or handler, and
whether or not it propagates. A handler at the root would miss the loggers that do not propagate, and a filter the children of
its logger.
"""

from __future__ import annotations

import logging

from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Factory: TypeAlias = Callable[..., logging.LogRecord]

__all__ = ["instrument", "uninstrument"]


def instrument(*, registry: Registry | None = None) -> None:
    """Count the records that are logged, by logger and level: `logging.records`, tagged `logger` and `level`.

    The root logger is `root`. A record below the level of its logger is not made, and does not count. A number that is no
    level by name counts as the named level below it. Another call replaces this one.

    Args:
        registry: where to record; by default the current registry.

    Raises:
        TypeError: `registry` is not a `Registry`.
        MetricConflictError: the name belongs to another kind.
    """
    target = context.registry() if registry is None else registry
    check_type("registry", target, Registry)
    begun = Records(target)
    uninstrument()
    _active.append(begun)
    begun.begin()


def uninstrument() -> None:
    """Count no further records. What was recorded stays. Does nothing where nothing is instrumented.

    If somebody else set a factory meanwhile that calls ours, both stay: ours then only passes on.
    """
    while _active:
        _active.pop().end()


class Records:
    """Counts the records that are made. It is the factory of records, and has the factory before it make them."""

    def __init__(self, registry: Registry) -> None:
        self._inc = registry.counter("logging.records", unit="{record}", description="Records that were logged.").inc
        self._made_by: Factory = logging.LogRecord
        self._counts = False

    def begin(self) -> None:
        """Become the factory."""
        self._made_by = logging.getLogRecordFactory()
        self._counts = True
        logging.setLogRecordFactory(self.make)

    def end(self) -> None:
        """Count no more, and give way to the factory before this one."""
        self._counts = False
        if logging.getLogRecordFactory() == self.make:
            logging.setLogRecordFactory(self._made_by)

    def make(
        self, name: Any, level: Any, fn: Any, lno: Any, msg: Any, args: Any, exc_info: Any, func: Any = None, sinfo: Any = None,
        **more: Any,
    ) -> logging.LogRecord:  # fmt: skip
        """Make a record, and count it. `logging.makeLogRecord` names no logger: it makes copies, which do not count."""
        if self._counts and isinstance(name, str) and isinstance(level, int):
            self._inc(logger=name, level=level_name(level))
        if more:
            return self._made_by(name, level, fn, lno, msg, args, exc_info, func, sinfo, **more)
        return self._made_by(name, level, fn, lno, msg, args, exc_info, func, sinfo)


def level_name(level: int) -> str:
    """Return the name of a level; of one without a name, that of the next lower level which has one."""
    name = logging.getLevelName(level)
    return name if name[:6] != "Level " else _named_below(level)


def _named_below(level: int) -> str:
    named = logging.getLevelNamesMapping().values()
    return logging.getLevelName(max([one for one in named if one <= level], default=logging.NOTSET))


_active: list[Records] = []
