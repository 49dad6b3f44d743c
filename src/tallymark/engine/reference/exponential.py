"""The cells of a series with exponential buckets."""

from __future__ import annotations

from math import inf, nan

from tallymark.engine.exponential import MOST_BUCKETS, NO_BUCKETS, TOP_SCALE, combined, index_of, rescaled
from tallymark.engine.exponential_snapshot import ExponentialSnapshot
from tallymark.frozen import Frozen, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tallymark.engine.exponential import Buckets

__all__ = ["ExponentialCells"]

_set = object.__setattr__


class ExponentialCells(Frozen):
    """All that a series holds. It never changes: to observe makes the next one, which takes its place.

    Two are equal only if they are one object, so that a comparison runs no Python code.

    Attributes:
        scale: the finest at which no more than 160 buckets hold all observations above 0, and as many all those below.
        zero_count: observations that are 0.
        positives: the others, and `negatives` by their absolute values.
    """

    __slots__ = ("largest", "negatives", "positives", "scale", "smallest", "total", "zero_count")

    scale: int
    zero_count: int
    positives: Buckets
    negatives: Buckets
    total: float
    smallest: float
    largest: float

    def __init__(
        self, scale: int, zero_count: int, positives: Buckets, negatives: Buckets, total: float, smallest: float, largest: float
    ) -> None:  # written out for speed: each observation makes one
        _set(self, "scale", scale)
        _set(self, "zero_count", zero_count)
        _set(self, "positives", positives)
        _set(self, "negatives", negatives)
        _set(self, "total", total)
        _set(self, "smallest", smallest)
        _set(self, "largest", largest)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @classmethod
    def empty(cls) -> ExponentialCells:
        """Return the cells of a series without observations."""
        return cls(TOP_SCALE, 0, NO_BUCKETS, NO_BUCKETS, 0.0, inf, -inf)

    def observed(self, value: float) -> ExponentialCells:
        """Return these cells with one more observation."""
        cells, zeros, above, below = self, self.zero_count, self.positives, self.negatives
        if value == 0.0:
            zeros += 1
        else:
            cells = self._with_room(value)
            at = index_of(abs(value)) >> (TOP_SCALE - cells.scale)
            above, below = cells.positives, cells.negatives
            if value > 0.0:
                above = _counted(above, at)
            else:
                below = _counted(below, at)
        smallest, largest = min(self.smallest, value), max(self.largest, value)
        return ExponentialCells(cells.scale, zeros, above, below, self.total + value, smallest, largest)

    def _with_room(self, value: float) -> ExponentialCells:
        """Return cells as coarse as they must be, so that a value fits into 160 buckets with the others of its sign."""
        at = index_of(abs(value)) >> (TOP_SCALE - self.scale)
        first, counts = self.positives if value > 0.0 else self.negatives
        if counts and max(at + 1, first + len(counts)) - min(at, first) > MOST_BUCKETS:
            return self._coarser()._with_room(value)
        return self

    def _coarser(self) -> ExponentialCells:
        positives, negatives = rescaled(self.positives, 1), rescaled(self.negatives, 1)
        return replace(self, scale=self.scale - 1, positives=positives, negatives=negatives)

    def snapshot(self) -> ExponentialSnapshot:
        """Return what is held, as users see it."""
        smallest, largest = (nan, nan) if self.smallest > self.largest else (self.smallest, self.largest)
        return ExponentialSnapshot(self.scale, self.zero_count, self.positives, self.negatives, self.total, smallest, largest)


def _counted(buckets: Buckets, at: int) -> Buckets:
    """Return buckets with one more observation in that with an index."""
    first, counts = buckets
    place = at - first
    if 0 <= place < len(counts):
        return first, (*counts[:place], counts[place] + 1, *counts[place + 1 :])
    return combined([buckets, (at, (1,))])
