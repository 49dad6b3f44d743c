"""What a snapshot holds of a family: one type of columns for each meaning that numbers can have.

Exporters dispatch on these types with `match`, and on nothing else. Row `i` of every column belongs to one series; `created` is
in seconds since the epoch, 0 if unknown.
"""

from __future__ import annotations

from tallymark.engine import Exposition, frozen, number_lines, observation_lines, tag_fields, tag_texts
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.sparse_column import SparseColumn
from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from tallymark.engine import TagSet
    from tallymark.engine.columns import Columns
    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.exponential import Buckets
    from tallymark.engine.exponential_snapshot import ExponentialSnapshot
    from tallymark.engine.options import FamilyOptions

    Data: TypeAlias = "SumData | GaugeData | SummaryData | HistogramData | ExponentialHistogramData | InfoData | StateSetData"
    Exemplars: TypeAlias = Sequence[Sequence[Exemplar]]

__all__ = [
    "DATA_TYPES", "ExponentialHistogramData", "Exposition", "GaugeData", "HistogramData", "InfoData", "SparseColumn",
    "StateSetData", "SumData", "SummaryData", "data_of", "number_lines", "observation_lines", "tag_fields", "tag_texts",
]  # fmt: skip


class SumData(Frozen):
    """Totals: of a counter, which only go up; or of a gauge that processes share and sum, which are not `monotonic`.

    Attributes:
        exemplars: for each series at most one; empty as a whole where there is none.
    """

    __slots__ = ("created", "exemplars", "monotonic", "tags", "values")

    tags: Sequence[TagSet]
    created: Sequence[float]
    values: Sequence[float]
    monotonic: bool
    exemplars: Exemplars

    def __init__(
        self,
        tags: Sequence[TagSet],
        created: Sequence[float],
        values: Sequence[float],
        monotonic: bool,
        exemplars: Exemplars = (),
    ) -> None:
        super().__init__(tags, created, values, monotonic, exemplars)


class GaugeData(Frozen):
    """Values that go up and down."""

    __slots__ = ("created", "tags", "values")

    tags: Sequence[TagSet]
    created: Sequence[float]
    values: Sequence[float]


class SummaryData(Frozen):
    """How many observations there were, and their sum.

    Attributes:
        quantiles: what other libraries tell of each series: pairs of a quantile, such as 0.99, and its value; empty as a whole
            where there is none.
    """

    __slots__ = ("counts", "created", "quantiles", "sums", "tags")

    tags: Sequence[TagSet]
    created: Sequence[float]
    counts: Sequence[int]
    sums: Sequence[float]
    quantiles: Sequence[Sequence[tuple[float, float]]]

    def __init__(
        self,
        tags: Sequence[TagSet],
        created: Sequence[float],
        counts: Sequence[int],
        sums: Sequence[float],
        quantiles: Sequence[Sequence[tuple[float, float]]] = (),
    ) -> None:
        super().__init__(tags, created, counts, sums, quantiles)


class HistogramData(Frozen):
    """Distributions over buckets with explicit bounds.

    Attributes:
        bounds: upper bounds, inclusive, ascending; one more bucket holds what is above the last.
        bucket_counts: for each series its observations in each bucket, not cumulative.
        sums: of the observations of each series.
        mins: the smallest observation of each series; NaN where there is none.
        maxs: the largest one.
        exemplars: for each series at most one a bucket, in the order of the buckets; empty as a whole where there is none.
    """

    __slots__ = ("bounds", "bucket_counts", "created", "exemplars", "maxs", "mins", "sums", "tags")

    tags: Sequence[TagSet]
    created: Sequence[float]
    bounds: tuple[float, ...]
    bucket_counts: Sequence[Sequence[int]]
    sums: Sequence[float]
    mins: Sequence[float]
    maxs: Sequence[float]
    exemplars: Exemplars

    def __init__(
        self,
        tags: Sequence[TagSet],
        created: Sequence[float],
        bounds: tuple[float, ...],
        bucket_counts: Sequence[Sequence[int]],
        sums: Sequence[float],
        mins: Sequence[float],
        maxs: Sequence[float],
        exemplars: Exemplars = (),
    ) -> None:
        super().__init__(tags, created, bounds, bucket_counts, sums, mins, maxs, exemplars)

    def row(self, row: int, *others: int) -> HistogramSnapshot:
        """Return the distribution of one series, or of several together."""
        *before, last = row, *others
        counts = tuple(self.bucket_counts[last])
        whole = HistogramSnapshot(self.bounds, counts, self.sums[last], self.mins[last], self.maxs[last])
        for other in reversed(before):
            whole = whole.merged(self.row(other))
        return whole


class ExponentialHistogramData(Frozen):
    """Distributions over buckets whose bounds are powers of `2 ** 2 ** -scale`.

    Source: OpenTelemetry's data model for metrics, section "ExponentialHistogram".

    Attributes:
        scales: of each series.
        zero_counts: observations that are 0.
        positives: for each series the index of its first bucket, and the observations in that one and those after it. Bucket
            `i` holds what is above `base ** i`, up to `base ** (i + 1)`.
        negatives: the same for absolute values of observations below 0.
        sums: of the observations of each series.
        mins: the smallest observation of each series; NaN where there is none.
        maxs: the largest one.
        exemplars: for each series at most 20; empty as a whole where there is none.
    """

    __slots__ = (
        "created", "exemplars", "maxs", "mins", "negatives", "positives", "scales", "sums", "tags", "zero_counts",
    )  # fmt: skip

    tags: Sequence[TagSet]
    created: Sequence[float]
    scales: Sequence[int]
    zero_counts: Sequence[int]
    positives: Sequence[Buckets]
    negatives: Sequence[Buckets]
    sums: Sequence[float]
    mins: Sequence[float]
    maxs: Sequence[float]
    exemplars: Exemplars

    def __init__(
        self,
        tags: Sequence[TagSet],
        created: Sequence[float],
        scales: Sequence[int],
        zero_counts: Sequence[int],
        positives: Sequence[Buckets],
        negatives: Sequence[Buckets],
        sums: Sequence[float],
        mins: Sequence[float],
        maxs: Sequence[float],
        exemplars: Exemplars = (),
    ) -> None:
        super().__init__(tags, created, scales, zero_counts, positives, negatives, sums, mins, maxs, exemplars)

    def row(self, row: int, *others: int) -> ExponentialSnapshot:
        """Return the distribution of one series, or of several together. It reads as one with explicit bounds, too."""
        from tallymark.engine.exponential_snapshot import ExponentialSnapshot  # most registries have no such metric

        *before, last = row, *others
        whole = ExponentialSnapshot(
            self.scales[last], self.zero_counts[last], self.positives[last], self.negatives[last], self.sums[last],
            self.mins[last], self.maxs[last],
        )  # fmt: skip
        for other in reversed(before):
            whole = whole.merged(self.row(other))
        return whole


class InfoData(Frozen):
    """Facts, as tags; each value is 1."""

    __slots__ = ("created", "tags")

    tags: Sequence[TagSet]
    created: Sequence[float]

    @property
    def values(self) -> Sequence[float]:
        """1 for each series."""
        return (1.0,) * len(self.tags)


class StateSetData(Frozen):
    """Which of its states something is in: a row for each state, tagged `state`, whose value is 1 or 0.

    Attributes:
        key: of the tag that names the state: that of another library has another name.
    """

    __slots__ = ("created", "key", "tags", "values")

    tags: Sequence[TagSet]
    created: Sequence[float]
    values: Sequence[float]
    key: str

    def __init__(self, tags: Sequence[TagSet], created: Sequence[float], values: Sequence[float], key: str = "state") -> None:
        super().__init__(tags, created, values, key)


DATA_TYPES = (SumData, GaugeData, SummaryData, HistogramData, ExponentialHistogramData, InfoData, StateSetData)


def data_of(options: FamilyOptions, columns: Columns) -> Data:
    """Return the columns that an engine read from a family, as the data type of its kind."""
    tags, created = columns.tags, columns.created
    match options.kind:
        case "counter":
            return frozen(SumData, tags, created, columns.values, True, columns.exemplars)
        case "histogram" | "timer" if options.exponential:
            return frozen(
                ExponentialHistogramData, tags, created, columns.scales, columns.zero_counts, columns.positives,
                columns.negatives, columns.sums, columns.mins, columns.maxs, columns.exemplars,
            )  # fmt: skip
        case "histogram" | "timer":
            return frozen(
                HistogramData, tags, created, options.bounds, columns.bucket_counts, columns.sums, columns.mins, columns.maxs,
                columns.exemplars,
            )  # fmt: skip
        case "info":
            return InfoData(tags, created)
        case "stateset":
            return StateSetData(tags, created, columns.values)
        case _ if options.aggregate == "sum":
            return SumData(tags, created, columns.values, False)
        case _:
            return frozen(GaugeData, tags, created, columns.values)
