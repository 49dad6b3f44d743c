"""Bad data: what was rejected or redirected is counted, and logged once."""

from __future__ import annotations

import os
from _weakref import ref

from tallymark.engine.lock import held
from tallymark.engine.options import TagLimits
from tallymark.errors import TagError
from tallymark.log import logger
from tallymark.metric.validation import REJECTED, MetricRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tallymark.engine import Counter
    from tallymark.engine.options import FamilyHooks
    from tallymark.metric.families import Families

__all__ = ["REJECTED", "REJECTED_LIMITS", "Rejections", "failure_text"]

# A registry's own tags were checked when it was made, and what counts rejections must never be rejected itself.
_ANY = 10_000
REJECTED_LIMITS = TagLimits(max_tags=_ANY, max_key_length=_ANY, max_value_length=_ANY, max_series=100_000)

_TAG_REASONS = {"max_series", "unprintable", "value_too_long"}


def failure_text(error: BaseException) -> str:
    """Return what to say of an exception that somebody else's code raised, whatever its `repr` does."""
    try:
        return repr(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return type(error).__name__


class Rejections:
    """Counts the bad data of one registry in its counter `tallymark_rejected`.

    Args:
        families: of the registry.
        hooks: of the counter itself, which must not reject what it counts.
        strict: raise too.
    """

    __slots__ = ("_counter", "_families", "_hooks", "_logged", "_owed", "_owner", "_strict")

    def __init__(self, families: Families, hooks: FamilyHooks, strict: bool) -> None:
        self._counter: Counter | None = None
        # An instrument must not keep its registry alive: the garbage collector does not see into the engines' objects.
        self._families = ref(families)
        self._hooks = hooks
        self._strict = strict
        self._logged: set[tuple[str, str]] = set()
        self._owed: dict[tuple[str, str], int] = {}  # what failed while shared memory could not be changed, nor count it
        self._owner = 0  # the process that owes it

    def make_counter(self) -> None:
        """Make the counter, which otherwise is made on the first rejection."""
        families = self._families()
        if families is not None:
            wanted = MetricRequest("counter", REJECTED, "Records rejected or redirected.", limits=REJECTED_LIMITS)
            root: Any = families.get(wanted, self._hooks).root
            self._counter = root

    def _count(self, metric: str, reason: str) -> None:
        if self._counter is None:
            self.make_counter()
        if reason == "unreachable":
            self._owe(metric, reason)
        elif self._counter is not None:  # else the registry is gone, and nobody will read it
            self._counter.inc(metric=metric, reason=reason)

    def _owe(self, metric: str, reason: str) -> None:
        if self._owner != os.getpid():  # a forked child owes nothing
            self._owed, self._owner = {}, os.getpid()
        self._owed[metric, reason] = self._owed.get((metric, reason), 0) + 1

    def settle(self) -> bool:
        """Count what could not be counted while shared memory could not be changed. Return True."""
        owed, self._owed = self._owed, {}
        if self._counter is not None and self._owner == os.getpid():
            for (metric, reason), n in owed.items():
                self._counter.inc(n, metric=metric, reason=reason)
        return True

    def reject(self, metric: str, reason: str, detail: Callable[[], str]) -> None:
        """Count a rejection, and log the first of its metric and reason.

        Raises:
            ValueError: the registry is strict. `TagError` where the rejection is about tags.
        """
        self._count(metric, reason)
        if self._strict:
            raise (TagError if reason in _TAG_REASONS else ValueError)(f"metric {metric!r}: {detail()}")
        self._log(metric, reason, detail)

    def note(self, metric: str, reason: str, detail: Callable[[], str]) -> None:
        """Count and log as `reject` does, but never raise: for what is no error, such as a slow collector."""
        self._count(metric, reason)
        self._log(metric, reason, detail)

    def _log(self, metric: str, reason: str, detail: Callable[[], str]) -> None:
        # Logging handlers take locks of their own, so none is called under ours; a later rejection is logged instead.
        if (metric, reason) not in self._logged and not held():
            self._logged.add((metric, reason))
            logger().warning(
                "metric %r: %s. Further cases are only counted, in %s{metric=%r,reason=%r}",
                metric, detail(), REJECTED, metric, reason,
            )  # fmt: skip
