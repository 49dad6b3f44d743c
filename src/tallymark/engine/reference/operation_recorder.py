"""`OperationRecorder`: one call that counts, and times if it has a timer, with tags as positional arguments."""

from __future__ import annotations

from tallymark.engine.reference.counter import Counter
from tallymark.engine.reference.timer import Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["OperationRecorder"]

_MAX_TAGS = 32


class OperationRecorder:
    """Called with a value for each of its keys, a duration if it has a timer, and further tags by keyword: adds one to its
    counter and records the duration, in the series with all of these tags.

    For callers that record with the same keys again and again. A positional value wins over a keyword of the same name, which
    wins over a default. If the duration is rejected, the call still counts.

    Args:
        counter: what each call adds one to.
        keys: the tags that are positional arguments.
        timer: what the duration, the last positional argument, is recorded to.
        defaults: values of the last keys, used where they are omitted.
    """

    __slots__ = ("_counter", "_defaults", "_keys", "_timer")

    def __init__(
        self, counter: Counter, keys: tuple[str, ...], timer: Timer | None = None, defaults: tuple[str, ...] = ()
    ) -> None:
        if (
            type(counter) is not Counter
            or type(timer) not in (Timer, type(None))
            or not (isinstance(keys, tuple) and isinstance(defaults, tuple))
            or not all(type(text) is str for text in (*keys, *defaults))
            or not len(defaults) <= len(keys) <= _MAX_TAGS
        ):
            raise TypeError("a recorder takes a counter, keys as text, a timer or None, and defaults for the last keys")
        self._counter = counter
        self._keys = keys
        self._timer = timer
        self._defaults = defaults

    def __call__(self, /, *values: Any, **context: object) -> None:
        n_values = len(values) - (self._timer is not None)
        missing = len(self._keys) - n_values
        if not 0 <= missing <= len(self._defaults):
            duration = " and a duration" if self._timer is not None else ""
            raise TypeError(f"{self._keys!r}{duration} are needed by position, but {len(values)} were given")
        if len(context) + len(self._keys) > _MAX_TAGS:
            raise TypeError(f"at most {_MAX_TAGS} tags can be given in one call")
        omitted = zip(self._keys[n_values:], self._defaults[len(self._defaults) - missing :], strict=True)
        tags = dict(omitted) | context | dict(zip(self._keys[:n_values], values, strict=False))
        if self._timer is None:
            return self._count(tags)
        seconds = self._timer._seconds(values[-1])
        self._count(tags)
        if seconds is not None:
            self._timer._record(seconds, tags)

    def _count(self, tags: dict[str, object]) -> None:
        series = self._counter._family.find(self._counter, tags) if tags else self._counter
        series._record(1.0)
