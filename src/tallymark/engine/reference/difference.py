"""What was recorded between two readings of a family with buckets, where an engine can tell."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    Columns: TypeAlias = tuple[Sequence[Any], ...]

__all__ = ["difference"]


def difference(before: Columns, after: Columns, bounds: tuple[float, ...], /) -> Columns | None:
    """Return the columns of what was recorded between two readings, without those of tags and of times of creation.

    They are worked out when they are read, and take no memory of their own; both readings are kept for as long. None where the
    caller must work them out: this engine does not know these columns. What they have is told by the functions of
    `tallymark.metric.delta_buckets`.

    Args:
        before: the columns of the tags, the times of creation, the bucket counts, the sums, the smallest and the largest
            observations; for exponential buckets, in place of the bucket counts, the scales, the zero counts, and the buckets
            above and below 0.
        after: the same columns of the later reading.
        bounds: of explicit buckets; empty for exponential ones.
    """
    return None
