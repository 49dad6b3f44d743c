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

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @classmethod
    def empty(cls) -> ExponentialCells:
        """Return the cells of a series without observations."""
        return cls(TOP_SCALE, 0, NO_BUCKETS, NO_BUCKETS, 0.0, inf, -inf)

    def observed(self, value: float) -> ExponentialCells:
        """Return these cells with one more observation."""
        smallest, largest = min(self.smallest, value), max(self.largest, value)
        grown = replace(self, total=self.total + value, smallest=smallest, largest=largest)
        if value == 0.0:
            return replace(grown, zero_count=self.zero_count + 1)
        return grown._counted("positives" if value > 0.0 else "negatives", index_of(abs(value)))

    def _counted(self, side: str, index: int) -> ExponentialCells:
        """Return these cells with one more in a bucket, whose index is that of the finest scale; coarser, if need be."""
        at = index >> (TOP_SCALE - self.scale)
        buckets: Buckets = getattr(self, side)
        first, counts = buckets
        if counts and max(at + 1, first + len(counts)) - min(at, first) > MOST_BUCKETS:
            return self._coarser()._counted(side, index)
        return replace(self, **{side: combined([buckets, (at, (1,))])})

    def _coarser(self) -> ExponentialCells:
        positives, negatives = rescaled(self.positives, 1), rescaled(self.negatives, 1)
        return replace(self, scale=self.scale - 1, positives=positives, negatives=negatives)

    def snapshot(self) -> ExponentialSnapshot:
        """Return what is held, as users see it."""
        smallest, largest = (nan, nan) if self.smallest > self.largest else (self.smallest, self.largest)
        return ExponentialSnapshot(self.scale, self.zero_count, self.positives, self.negatives, self.total, smallest, largest)
