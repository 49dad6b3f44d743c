"""Exemplars of series: kept beside their cells, one for each bucket, or one for a counter."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.exemplar import Exemplar, Labels
    from tallymark.engine.reference.instrument import Instrument

__all__ = ["exemplars_of_rows", "exemplify"]

_ASK_AFTER = 1.0
"""Seconds after which the registry is asked again, for each place of a series."""


def exemplify(series: Instrument | None, value: float, labels: Labels | None) -> None:
    """Keep the exemplar of a record that was just made.

    Args:
        series: the live one that it went to; None if it was rejected.
        value: what was recorded.
        labels: those that the call gave; None: ask the registry, if that is due.
    """
    if series is None or labels == ():
        return
    from tallymark.engine.exemplar import Exemplar, place_of  # most services have no exemplars

    place = place_of(series._family.options, value)
    if labels is None:
        if not _is_due(series, place):
            return
        labels = series._family.policy.asked_labels()
    if labels:
        exemplar = Exemplar(labels, value, series._family._hooks.now())
        # Atomic
        if series._live:
            series._exemplars[place] = exemplar
            series._asked[place] = exemplar.time


def _is_due(series: Instrument, place: int) -> bool:
    """Return True if the registry asks somebody, and did not for a second; then it counts as asked.

    So no record that the one who is asked makes itself asks again.
    """
    if not series._family._asks:
        return False
    now = series._family._hooks.now()
    asked = series._asked.get(place)
    if asked is not None and -_ASK_AFTER < now - asked < _ASK_AFTER:  # else the clock was set back
        return False
    series._asked[place] = now
    return True


def exemplars_of_rows(rows: Sequence[Instrument]) -> Sequence[Sequence[Exemplar]]:
    """Return the exemplars of each series, in the order of its buckets; `()` if there are none at all."""
    found = [row._exemplars.copy() for row in rows]
    return tuple([tuple([held[place] for place in sorted(held)]) for held in found]) if any(found) else ()
