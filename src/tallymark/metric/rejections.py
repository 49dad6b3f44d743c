"""Bad data: what was refused or redirected is counted, and logged once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tallymark.engine import Counter
from tallymark.engine.lock import held
from tallymark.engine.options import TagLimits
from tallymark.errors import TagError

__all__ = ["REJECTED", "REJECTED_LIMITS", "Rejections"]

REJECTED = "tallymark_rejected"
"""The counter, tagged by metric and reason, that each registry keeps of the records that it refused or redirected."""

REJECTED_LIMITS = TagLimits(max_tags=100, max_value_length=255, max_series=100_000)

_TAG_REASONS = {"max_series", "unprintable", "value_too_long"}

_logger = logging.getLogger("tallymark")


class Rejections:
    """Accounts for the bad data of one registry, in its counter of that."""

    __slots__ = ("_counter", "_logged", "_strict")

    def __init__(self, counter: Counter, strict: bool) -> None:
        self._counter = counter
        self._strict = strict
        self._logged: set[tuple[str, str]] = set()

    def reject(self, metric: str, reason: str, detail: Callable[[], str]) -> None:
        """Count a refusal, and log the first of its metric and reason.

        Raises:
            ValueError: the registry is strict. `TagError` where the refusal is about tags.
        """
        self._counter.inc(metric=metric, reason=reason)
        if self._strict:
            raise (TagError if reason in _TAG_REASONS else ValueError)(f"metric {metric!r}: {detail()}")
        # Handlers of logging take locks of their own, so none is called under ours; a later refusal is logged instead.
        if (metric, reason) not in self._logged and not held():
            self._logged.add((metric, reason))
            _logger.warning(
                "metric %r: %s. Further cases are only counted, in %s{metric=%r,reason=%r}",
                metric, detail(), REJECTED, metric, reason,
            )  # fmt: skip
