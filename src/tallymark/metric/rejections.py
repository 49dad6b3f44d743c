"""Bad data: what was rejected or redirected is counted, and logged once."""

from __future__ import annotations

from tallymark.engine.lock import held
from tallymark.engine.options import TagLimits
from tallymark.errors import TagError
from tallymark.log import logger
from tallymark.metric.validation import REJECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.engine import Counter

__all__ = ["REJECTED", "REJECTED_LIMITS", "Rejections"]

REJECTED_LIMITS = TagLimits(max_tags=100, max_value_length=255, max_series=100_000)

_TAG_REASONS = {"max_series", "unprintable", "value_too_long"}


class Rejections:
    """Accounts for the bad data of one registry, in its counter of that.

    Args:
        counter: returns the counter, which is made when it is first needed.
        strict: whether to raise too.
    """

    __slots__ = ("_counter", "_logged", "_strict")

    def __init__(self, counter: Callable[[], Counter], strict: bool) -> None:
        self._counter = counter
        self._strict = strict
        self._logged: set[tuple[str, str]] = set()

    def reject(self, metric: str, reason: str, detail: Callable[[], str]) -> None:
        """Count a rejection, and log the first of its metric and reason.

        Raises:
            ValueError: the registry is strict. `TagError` where the rejection is about tags.
        """
        self._counter().inc(metric=metric, reason=reason)
        if self._strict:
            raise (TagError if reason in _TAG_REASONS else ValueError)(f"metric {metric!r}: {detail()}")
        self._log(metric, reason, detail)

    def note(self, metric: str, reason: str, detail: Callable[[], str]) -> None:
        """Do the same for what nobody would want an exception for, however strict: a slow collector, say."""
        self._counter().inc(metric=metric, reason=reason)
        self._log(metric, reason, detail)

    def _log(self, metric: str, reason: str, detail: Callable[[], str]) -> None:
        # Handlers of logging take locks of their own, so none is called under ours; a later rejection is logged instead.
        if (metric, reason) not in self._logged and not held():
            self._logged.add((metric, reason))
            logger().warning(
                "metric %r: %s. Further cases are only counted, in %s{metric=%r,reason=%r}",
                metric, detail(), REJECTED, metric, reason,
            )  # fmt: skip
