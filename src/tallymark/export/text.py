"""Lines of text: what Prometheus' text format and OpenMetrics have in common.

A line is the name of a sample, its labels in braces, and a number: `requests_total{method="GET"} 3.0`. A name that needs quotes
is among the labels: `{"http.requests_total",method="GET"} 3.0`.
"""

from __future__ import annotations

from itertools import accumulate
from math import isfinite
from typing import NamedTuple

from tallymark.export.escaping import is_metric_name, quoted
from tallymark.export.labels import may_repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tallymark.engine import TagSet
    from tallymark.engine.exponential import Buckets
    from tallymark.engine.histogram_snapshot import HistogramSnapshot
    from tallymark.export.labels import Labels
    from tallymark.metric.data import ExponentialHistogramData, SummaryData

__all__ = [
    "Sample", "bucket_columns", "bucket_edges", "bucket_lines", "groups", "number", "number_rows", "quantile_lines", "token",
]  # fmt: skip

_PORTION = 2048


class Sample(NamedTuple):
    """How the lines of one sample name begin.

    Attributes:
        alone: where there are no labels.
        labelled: before the first label.
    """

    alone: str
    labelled: str

    @classmethod
    def of(cls, name: str) -> Sample:
        """Return how lines of this name begin."""
        if is_metric_name(name):
            return cls(name, f"{name}{{")
        return cls(f"{{{quoted(name)}}}", f"{{{quoted(name)},")

    def with_labels(self, text: str, last: str = "") -> str:
        """Return the line up to its number: with these labels, of which any may be empty."""
        comma = "," if text and last else ""
        return f"{self.labelled}{text}{comma}{last}}}" if text or last else self.alone


def token(name: str) -> str:
    """Return the name of a family as a line about it has it."""
    return name if is_metric_name(name) else quoted(name)


def number(value: float) -> str:
    """Return a number. It reads as `repr` does, but for what is not finite."""
    if isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


def number_rows(
    sample: Sample, labels: Labels, tags: Sequence[TagSet], values: Sequence[float], *, adds_up: bool = False
) -> list[str]:
    """Return the lines of a family whose series have one number each, in parts of many lines.

    Args:
        adds_up: if some series have the same labels, add up their values, as those of counters; else the last one stays.
    """
    texts = labels.texts(tags)
    if may_repeat(texts):
        texts, values = _without_twins(texts, values, adds_up=adds_up)
    write = repr if all(map(isfinite, values)) else number
    alone, start = sample
    # In portions, each of which reuses the memory of the last: to hold all lines at once would cost more than to write them.
    return [
        "".join(
            [
                f"{start}{text}}} {write(value)}\n" if text else f"{alone} {write(value)}\n"
                for text, value in zip(texts[at : at + _PORTION], values[at : at + _PORTION], strict=True)
            ]
        )
        for at in range(0, len(texts), _PORTION)
    ]


def _without_twins(texts: list[str], values: Sequence[float], *, adds_up: bool) -> tuple[list[str], list[float]]:
    merged: dict[str, list[float]] = {}
    for text, value in zip(texts, values, strict=True):
        merged.setdefault(text, []).append(value)
    # By `sum`, in all formats: from Python 3.12 on, it loses less than `+` does.
    return list(merged), [sum(some) if adds_up else some[-1] for some in merged.values()]


def groups(texts: Iterable[str]) -> dict[str, list[int]]:
    """Return the rows of series by the text of their labels: those with the same labels are one series."""
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        rows.setdefault(text, []).append(row)
    return rows


def bucket_lines(
    sample: Sample, text: str, histogram: HistogramSnapshot, edge: Callable[[float], str], notes: Sequence[str] = ()
) -> list[str]:
    """Return the lines of one distribution's buckets, which count what is in the lower ones too.

    Args:
        edge: writes a bound.
        notes: what follows the number, for each bucket; empty: nothing does.
    """
    edges = bucket_edges(histogram.bounds, edge)
    counts = accumulate(histogram.bucket_counts)
    start = f"{sample.labelled}{text}{',' if text else ''}"
    return [
        f"{start}{upper}{count}{note}\n" for upper, count, note in zip(edges, counts, notes or [""] * len(edges), strict=True)
    ]


def quantile_lines(
    sample: Sample, text: str, data: SummaryData, rows: Sequence[int], edge: Callable[[float], str]
) -> list[str]:
    """Return the lines of a summary's quantiles. Several series together have none that is known.

    Args:
        edge: writes a quantile.
    """
    if not data.quantiles or len(rows) > 1:
        return []
    told = [(f'quantile="{edge(quantile)}"', value) for quantile, value in data.quantiles[rows[0]]]
    return [f"{sample.with_labels(text, label)} {number(value)}\n" for label, value in told]


def bucket_columns(
    data: ExponentialHistogramData,
) -> tuple[Sequence[int], Sequence[int], Sequence[Buckets], Sequence[Buckets]]:
    """Return the columns that tell of exponential buckets."""
    return data.scales, data.zero_counts, data.positives, data.negatives


def bucket_edges(bounds: Sequence[float], edge: Callable[[float], str]) -> tuple[str, ...]:
    """Return for each bucket what is between its other labels and its number."""
    return tuple([f'le="{upper}"}} ' for upper in (*map(edge, bounds), "+Inf")])
