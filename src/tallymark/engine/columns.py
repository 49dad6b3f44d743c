"""What an engine returns when a family is read: parallel columns, a row for each live series."""

from __future__ import annotations

from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.exponential import Buckets
    from tallymark.engine.reference import TagSet

__all__ = ["Columns"]

_set = object.__setattr__


class Columns(Frozen):
    """Row `i` of every column belongs to one series.

    Counters and gauges fill `values`; histograms and timers fill `bucket_counts` (a sequence per series: its bounds and
    one bucket above them, not cumulative), `sums`, `mins` and `maxs` (NaN where nothing was observed). Those with exponential
    buckets fill, instead of `bucket_counts`, the columns that `ExponentialHistogramData` has. `created` is in seconds since the
    epoch. `exemplars` is empty if no series has one; else it has for each series those that it has, in the order of its
    buckets.
    """

    __slots__ = (
        "bucket_counts", "created", "exemplars", "maxs", "mins", "negatives", "positives", "scales", "sums", "tags", "values",
        "zero_counts",
    )  # fmt: skip

    tags: Sequence[TagSet]
    created: Sequence[float]
    values: Sequence[float]
    bucket_counts: Sequence[Sequence[int]]
    sums: Sequence[float]
    mins: Sequence[float]
    maxs: Sequence[float]
    exemplars: Sequence[Sequence[Exemplar]]
    scales: Sequence[int]
    zero_counts: Sequence[int]
    positives: Sequence[Buckets]
    negatives: Sequence[Buckets]

    def __init__(
        self,
        tags: Sequence[TagSet],
        created: Sequence[float],
        values: Sequence[float] = (),
        bucket_counts: Sequence[Sequence[int]] = (),
        sums: Sequence[float] = (),
        mins: Sequence[float] = (),
        maxs: Sequence[float] = (),
        exemplars: Sequence[Sequence[Exemplar]] = (),
        scales: Sequence[int] = (),
        zero_counts: Sequence[int] = (),
        positives: Sequence[Buckets] = (),
        negatives: Sequence[Buckets] = (),
    ) -> None:
        _set(self, "tags", tags)
        _set(self, "created", created)
        _set(self, "values", values)
        _set(self, "bucket_counts", bucket_counts)
        _set(self, "sums", sums)
        _set(self, "mins", mins)
        _set(self, "maxs", maxs)
        _set(self, "exemplars", exemplars)
        _set(self, "scales", scales)
        _set(self, "zero_counts", zero_counts)
        _set(self, "positives", positives)
        _set(self, "negatives", negatives)
