"""Prometheus's text format, version 0.0.4; and 1.0.0, where names may be any UTF-8.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from tallymark.export.escaping import UNDERSCORES, check_scheme, metric_names
from tallymark.export.labels import Labels
from tallymark.export.text import (
    Sample,
    bucket_columns,
    bucket_edges,
    bucket_lines,
    groups,
    number,
    number_rows,
    quantile_lines,
    token,
)
from tallymark.metric.data import (
    ExponentialHistogramData,
    Exposition,
    GaugeData,
    HistogramData,
    InfoData,
    StateSetData,
    SumData,
    SummaryData,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["CONTENT_TYPE", "head", "histograms", "render_prometheus", "summaries"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render_prometheus(snapshot: Snapshot, *, escaping: str = UNDERSCORES) -> bytes:
    """Return a snapshot as Prometheus text (UTF-8).

    A unit is a suffix (`_seconds` for timers), counters end in `_total`, infos in `_info`. If two tags of a series become one
    label, their values are joined with `;`. If two metrics become one name, one gets a number (`_2`), since Prometheus would
    reject a whole scrape with two of one name.

    Args:
        escaping: what becomes of names that are not ASCII letters, digits and `_`. `"underscores"`: what is not allowed becomes
            `_`. `"allow-utf-8"`: names are as they were given; only Prometheus 3 can read that. `"dots"` and `"values"`: see
            https://prometheus.io/docs/instrumenting/escaping_schemes/.

    Raises:
        ValueError: there is no such escaping.
    """
    check_scheme(escaping)
    labels = Labels(escaping)
    text = Exposition()
    for family, name in zip(snapshot.families, metric_names(snapshot.families, escaping), strict=True):
        if len(family) == 0:  # all that it had were removed, or expired
            continue
        text.write(head(family, name))
        if not _write_rows(text, name, family.data, escaping):
            for part in _rows(name, family.data, labels):
                text.write(part)
    return text.bytes()


def head(family: FamilySnapshot, name: str) -> str:
    """Return the lines about a family."""
    name = token(name)
    text = family.description.replace("\\", r"\\").replace("\n", r"\n")
    about = f"# HELP {name} {text}\n" if text else ""
    return f"{about}# TYPE {name} {_type(family.data)}\n"


def _type(data: Data) -> str:
    match data:
        case SumData(monotonic=True):
            return "counter"
        case SumData() | GaugeData() | InfoData() | StateSetData():
            return "gauge"
        case SummaryData():
            return "summary"
        case HistogramData() | ExponentialHistogramData():
            return "histogram"


def _write_rows(text: Exposition, name: str, data: Data, escaping: str) -> bool:
    """Have the engine write what `_rows` returns; return False where it cannot."""
    match data:
        case SumData() | GaugeData() | StateSetData():
            return text.write_numbers(data.tags, ((*Sample.of(name), data.values),), escaping)
        case InfoData():
            return text.write_numbers(data.tags, ((*Sample.of(name), "1.0"),), escaping)
        case HistogramData():
            total, count = (*Sample.of(f"{name}_sum"), data.sums), (*Sample.of(f"{name}_count"), data.bucket_counts)
            start, edges = Sample.of(f"{name}_bucket").labelled, bucket_edges(data.bounds, repr)
            return text.write_buckets(data.tags, data.bucket_counts, start, edges, (total, count), escaping, False)
        case ExponentialHistogramData():
            start = Sample.of(f"{name}_bucket").labelled
            both = (*Sample.of(f"{name}_sum"), data.sums), (*Sample.of(f"{name}_count"), data.positives)
            return text.write_exponential_buckets(data.tags, bucket_columns(data), start, both, escaping, False)
    return False


def _rows(name: str, data: Data, labels: Labels) -> Iterable[str]:
    """Return the lines of a family's series, in parts."""
    match data:
        case SumData(monotonic=True):
            return number_rows(Sample.of(name), labels, data.tags, data.values, adds_up=True)
        case SumData() | GaugeData() | InfoData() | StateSetData():
            return number_rows(Sample.of(name), labels, data.tags, data.values)
        case SummaryData():
            return summaries(name, data, [labels.text_beside(tags, "quantile") for tags in data.tags])
        case HistogramData() | ExponentialHistogramData():
            return histograms(name, data, [labels.text_beside(tags, "le") for tags in data.tags])


def summaries(name: str, data: SummaryData, texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of each summary, whose labels are given. Those that have the same labels add up."""
    quantile, total, count = (Sample.of(f"{name}{suffix}") for suffix in ("", "_sum", "_count"))
    for text, rows in groups(texts).items():
        yield from quantile_lines(quantile, text, data, rows, repr)
        yield f"{total.with_labels(text)} {number(sum([data.sums[row] for row in rows]))}\n"
        yield f"{count.with_labels(text)} {sum([data.counts[row] for row in rows])}\n"


def histograms(name: str, data: HistogramData | ExponentialHistogramData, texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of each distribution, whose labels are given. Those that have the same labels add up."""
    bucket, total, count = (Sample.of(f"{name}{suffix}") for suffix in ("_bucket", "_sum", "_count"))
    for text, rows in groups(texts).items():
        histogram = data.row(*rows)
        yield from bucket_lines(bucket, text, histogram, repr)
        yield f"{total.with_labels(text)} {number(histogram.sum)}\n"
        yield f"{count.with_labels(text)} {histogram.count}\n"
