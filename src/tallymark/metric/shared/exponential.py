"""Exponential buckets as they lie in shared memory (engine/native/buckets.h and exponential.h): for those who only look on."""

from __future__ import annotations

from math import nan

from tallymark.engine.exponential import NO_BUCKETS, TOP_SCALE, as_counts, rescaled
from tallymark.engine.exponential_snapshot import ExponentialSnapshot
from tallymark.metric.shared.aggregate import double_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from tallymark.engine.exponential import Buckets

    Cells: TypeAlias = tuple[int, ...]

__all__ = ["WORDS", "exponential_snapshot"]

_BANK = 160
_SIDE = 1 + 2 * _BANK  # cells of one sign
WORDS = 1 + _SIDE + 1 + 3  # of a slot: zeros, buckets above 0, where those below are, sum, least and greatest value
_INDEX_ZERO = 1 << 19
_MOST_EPOCH = 12
_COUNT = (1 << 53) - 1


def exponential_snapshot(cells: Cells, negatives: Callable[[int], Cells | None]) -> ExponentialSnapshot | None:
    """Return what a slot holds; None where that is damaged. `negatives` returns the cells of buckets below 0."""
    place = cells[1 + _SIDE]
    others = negatives(place) if place else (0,) * _SIDE
    above = _buckets(cells[1 : 1 + _SIDE])
    below = None if others is None else _buckets(others)
    if above is None or below is None:
        return None
    scale = min(above[0], below[0])
    positives, inverted = (rescaled(buckets, its - scale) for its, buckets in (above, below))
    total, least, most = map(double_of, cells[-3:])
    if least > most:  # nothing was observed
        least = most = nan
    return ExponentialSnapshot(scale, cells[0], positives, inverted, total, least, most)


def _buckets(cells: Cells) -> tuple[int, Buckets] | None:
    """Return the scale and the buckets that cells hold; None where they are damaged."""
    header, *banks = cells
    epoch, size, first = header & 15, header >> 8 & 255, header >> 32
    if epoch > _MOST_EPOCH or size > _BANK or first >= _INDEX_ZERO * 2:
        return None
    bank = banks[(epoch & 1) * _BANK :]
    counts = []
    for bucket in range(first, first + size):
        cell = bank[bucket % _BANK]
        counts.append((bucket - (_INDEX_ZERO >> epoch), cell & _COUNT if cell >> 53 & 255 == header & 255 else 0))
    return TOP_SCALE - epoch, as_counts(counts) if counts else NO_BUCKETS
