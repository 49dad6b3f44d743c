"""Prometheus's text format, version 0.0.4.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from itertools import accumulate
from math import isfinite

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
from tallymark.metric.names import ExpositionNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tallymark.engine import TagSet
    from tallymark.metric.data import Data
    from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["CONTENT_TYPE", "render_prometheus"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PORTION = 2048

_exact = True
"""True if every label text so far equals its tags, so that no two can be the same. Then duplicates need not be searched for."""


def render_prometheus(snapshot: Snapshot) -> bytes:
    """Return a snapshot as Prometheus text (UTF-8).

    In names, what is not allowed becomes `_`; a unit is a suffix (`_seconds` for timers), and counters end in `_total`. If two
    tags of a series become one label, their values are joined with `;`. If two metrics become one name, one gets a number
    (`_2`), since Prometheus would reject a whole scrape with two of one name.
    """
    text = Exposition()
    for family, name in zip(snapshot.families, _names(snapshot.families), strict=True):
        if len(family) == 0:  # all that it had were removed, or expired
            continue
        if family.description:
            text.write(f"# HELP {name} {_escape_help(family.description)}\n")
        text.write(f"# TYPE {name} {_type(family.data)}\n")
        if not _write_rows(text, name, family.data):
            for part in _rows(name, family.data):
                text.write(part)
    return text.bytes()


def _names(families: Sequence[FamilySnapshot]) -> list[str]:
    """Return the families' names, made here if no registry gave them."""
    if all(family.exposition_name for family in families):
        return [family.exposition_name for family in families]
    keys = [(family.name, family.kind, family.unit) for family in families]
    names = ExpositionNames()
    names.give(keys)
    return [names.of(*key) for key in keys]


def _type(data: Data) -> str:
    match data:
        case SumData(monotonic=True):
            return "counter"
        case SummaryData():
            return "summary"
        case HistogramData() | ExponentialHistogramData():
            return "histogram"
    return "gauge"


def _write_rows(text: Exposition, name: str, data: Data) -> bool:
    """Have the engine write what `_rows` returns; return False where it cannot."""
    match data:
        case SumData() | GaugeData() | StateSetData():
            return text.write_numbers(data.tags, ((name, data.values),))
        case InfoData():
            return text.write_numbers(data.tags, ((name, "1.0"),))
        case HistogramData():
            edges = tuple([f'le="{edge}"}} ' for edge in _edges(data.bounds)])
            return text.write_buckets(data.tags, data.bucket_counts, data.sums, name, edges)
    return False


def _rows(name: str, data: Data) -> list[str]:
    match data:
        case SumData() | GaugeData() | InfoData() | StateSetData():
            return _numbers(name, data.tags, data.values, adds_up=isinstance(data, SumData) and data.monotonic)
        case SummaryData():
            return _summaries(name, data)
        case HistogramData() | ExponentialHistogramData():
            return _histograms(name, data)


def label_text(tags: TagSet) -> str:
    """Return tags as labels, without braces. A label with an empty value is omitted: to Prometheus, both are the same."""
    text = tags._label_text
    if text is None:
        text = _label_text(tags.items())
        tags._keep_label_text(text)
    return text


def _label_text(tags: Iterable[tuple[str, str]]) -> str:
    global _exact
    labels: dict[str, list[str]] = {}
    for key, value in tags:
        name = _label_name(key)
        labels.setdefault(name, []).append(value)
        _exact = _exact and name == key and value != ""
    # Sorted by these names, not by those of the tags: else labels that are the same could be two texts.
    joined = [(name, ";".join(labels[name])) for name in sorted(labels)]
    return ",".join([f'{name}="{_escape_value(value)}"' for name, value in joined if value])


def _label_name(key: str) -> str:
    if not (key.isascii() and key.isidentifier()):
        key = "".join([c if c.isascii() and c.isalnum() else "_" for c in key])
    # Prometheus reserves names that start with two underscores.
    return f"_{key.lstrip('_')}" if key.startswith("__") else key


def _escape_value(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").encode("utf-8", "replace").decode()


def _numbers(name: str, tags: Sequence[TagSet], values: Sequence[float], *, adds_up: bool) -> list[str]:
    texts = [one._label_text or label_text(one) for one in tags]
    if not _exact and len(set(texts)) < len(texts):
        texts, values = _without_twins(texts, values, adds_up=adds_up)
    write = repr if all(map(isfinite, values)) else _number
    start = f"{name}{{"
    # In portions, each of which reuses the memory of the last: to hold all lines at once would cost more than to write them.
    return [
        "".join(
            [
                f"{start}{text}}} {write(value)}\n" if text else f"{name} {write(value)}\n"
                for text, value in zip(texts[at : at + _PORTION], values[at : at + _PORTION], strict=True)
            ]
        )
        for at in range(0, len(texts), _PORTION)
    ]


def _without_twins(texts: list[str], values: Sequence[float], *, adds_up: bool) -> tuple[list[str], list[float]]:
    """Merge series whose tags differ but become the same labels: counters add up, of others the last one stays."""
    merged: dict[str, float] = {}
    for text, value in zip(texts, values, strict=True):
        merged[text] = merged.get(text, 0.0) + value if adds_up else value
    return list(merged), list(merged.values())


def _summaries(name: str, data: SummaryData) -> list[str]:
    merged: dict[str, tuple[int, float]] = {}
    for tags, count, total in zip(data.tags, data.counts, data.sums, strict=True):
        text = label_text(tags)
        others, other_total = merged.get(text, (0, 0.0))
        merged[text] = count + others, total + other_total
    return [_totals(name, text, count, total) for text, (count, total) in merged.items()]


def _histograms(name: str, data: HistogramData | ExponentialHistogramData) -> list[str]:
    rows: dict[str, list[int]] = {}
    for row, tags in enumerate(data.tags):
        rows.setdefault(_text_beside_le(tags), []).append(row)
    lines = []
    for text, twins in rows.items():
        histogram = data.row(*twins)
        comma = f"{text}," if text else ""
        cumulative = list(accumulate(histogram.bucket_counts))
        edges = zip(_edges(histogram.bounds), cumulative, strict=True)
        lines += [f'{name}_bucket{{{comma}le="{edge}"}} {count}\n' for edge, count in edges]
        lines.append(_totals(name, text, cumulative[-1], histogram.sum))
    return lines


def _edges(bounds: Sequence[float]) -> list[str]:
    return [*map(repr, bounds), "+Inf"]


def _text_beside_le(tags: TagSet) -> str:
    """Return tags as labels; a tag `le` gets another name, as a bucket's bound has that label."""
    if "le" not in tags:
        return label_text(tags)
    return _label_text([(f"exported_{key}" if key == "le" else key, value) for key, value in tags.items()])


def _totals(name: str, text: str, count: int, total: float) -> str:
    braced = f"{{{text}}}" if text else ""
    return f"{name}_sum{braced} {_number(total)}\n{name}_count{braced} {count}\n"


def _number(value: float) -> str:
    if isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
