"""OpenMetrics 1.0, as text.

Source: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from math import inf, isfinite

from tallymark.export.escaping import UNDERSCORES, check_scheme, escape_value
from tallymark.export.labels import Labels, label, plain_text
from tallymark.export.openmetrics_types import typed
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
    SparseColumn,
    StateSetData,
    SumData,
    SummaryData,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.reference.exposition import Note
    from tallymark.export.openmetrics_types import Typed
    from tallymark.metric.snapshot import Snapshot

__all__ = ["CONTENT_TYPE", "VERSIONS", "render_openmetrics"]

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

VERSIONS = ("1.0.0", "0.0.1")
"""The versions of the format that can be written. What is written here is the same in both."""

_ENDINGS = {"counter": "_total", "info": "_info"}
"""What the samples of a type have that its families have not."""
_LONGEST = 128
"""Characters of an exemplar's names and values together. Longer ones are left out."""


def render_openmetrics(
    snapshot: Snapshot, created: bool = False, *, version: str = "1.0.0", escaping: str = UNDERSCORES
) -> bytes:
    """Return a snapshot as OpenMetrics text (UTF-8).

    Samples have the names that they have in Prometheus' text format. Beside that format, there are units, exemplars, and the
    types info and stateset. A stateset's label `state` has the name of the metric, as OpenMetrics demands, and a series that
    tells no state is left out. A distribution with buckets below 0 has neither sum nor count, which OpenMetrics forbids; nor
    has one whose sum is below 0.

    Args:
        created: tell when each series of a counter, histogram or summary was created, in samples `_created`.
        version: of the format, `"1.0.0"` or `"0.0.1"`.
        escaping: what becomes of names that are not ASCII letters, digits and `_`; see `render_prometheus`.

    Raises:
        ValueError: there is no such version or escaping.
    """
    check_scheme(escaping)
    if version not in VERSIONS:
        raise ValueError(f"there is no version {version!r} of OpenMetrics here; there are {', '.join(map(repr, VERSIONS))}")
    labels = Labels(escaping)
    text = Exposition()
    for one in typed(snapshot.families, escaping):
        text.write(_head(one))
        if not _write_rows(text, one, escaping, created=created):
            for part in _rows(one, labels, created=created):
                text.write(part)
    text.write("# EOF\n")
    return text.bytes()


def _head(one: Typed) -> str:
    name, text = token(one.name), escape_value(one.family.description)
    unit = f"# UNIT {name} {one.unit}\n" if one.unit else ""
    about = f"# HELP {name} {text}\n" if text else ""
    return f"# TYPE {name} {one.type}\n{unit}{about}"


def _write_rows(text: Exposition, one: Typed, escaping: str, *, created: bool) -> bool:
    """Have the engine write what `_rows` returns; return False where it cannot."""
    name, data = one.name, one.family.data
    sample = Sample.of(name + _ENDINGS.get(one.type, ""))
    born = ((*Sample.of(f"{name}_created"), data.created),) if created else ()
    match data:
        case SumData() if one.type == "counter" and _can_note(data.exemplars):
            return text.write_numbers(data.tags, ((*sample, data.values), *born), escaping, _notes(data.exemplars, _no_place))
        case SumData() | GaugeData() if one.type != "counter":
            return text.write_numbers(data.tags, ((*sample, data.values),), escaping)
        case InfoData():
            return text.write_numbers(data.tags, ((*sample, "1.0"),), escaping)
        case HistogramData() if _can_note(data.exemplars):
            count, total = (*Sample.of(f"{name}_count"), data.bucket_counts), (*Sample.of(f"{name}_sum"), data.sums)
            lines = (count, total, *born) if _has_sum(data.bounds) else born
            start, edges = Sample.of(f"{name}_bucket").labelled, bucket_edges(data.bounds, _edge)
            notes = _notes(data.exemplars, partial(bisect_left, data.bounds))
            return text.write_buckets(data.tags, data.bucket_counts, start, edges, lines, escaping, True, notes)
        case ExponentialHistogramData() if _can_note(data.exemplars):
            start = Sample.of(f"{name}_bucket").labelled
            both = (*Sample.of(f"{name}_count"), data.positives), (*Sample.of(f"{name}_sum"), data.sums)
            notes = _notes(data.exemplars, float)
            return text.write_exponential_buckets(data.tags, bucket_columns(data), start, (*both, *born), escaping, True, notes)
    return False


def _rows(one: Typed, labels: Labels, *, created: bool) -> list[str]:
    """Return the lines of a family's series."""
    match one.family.data:
        case HistogramData() | ExponentialHistogramData() as data:
            return _histograms(one.name, data, labels, created=created)
        case SummaryData() as data:
            return _summaries(one.name, data, labels, created=created)
        case StateSetData() as data if one.type == "stateset":
            return _states(one.name, data, labels)
        case SumData() as data if one.type == "counter" and (created or data.exemplars):
            return _counters(one.name, data, labels, created=created)
        case data:
            ending = _ENDINGS.get(one.type, "")
            adds_up = one.type in ("counter", "unknown")
            return number_rows(Sample.of(one.name + ending), labels, data.tags, data.values, adds_up=adds_up)


def _counters(name: str, data: SumData, labels: Labels, *, created: bool) -> list[str]:
    lines = []
    total, born = (Sample.of(f"{name}{suffix}") for suffix in ("_total", "_created"))
    for text, rows in groups(labels.texts(data.tags)).items():
        exemplars = _of_rows(data.exemplars, rows)
        note = _note(max(exemplars, key=_time)) if exemplars else ""
        value = data.values[rows[0]] if len(rows) == 1 else sum([data.values[row] for row in rows])
        lines.append(f"{total.with_labels(text)} {number(value)}{note}\n")
        if created:
            lines += _created(born, text, data.created, rows)
    return lines


def _states(name: str, data: StateSetData, labels: Labels) -> list[str]:
    """Return the lines of a stateset: those that differ in their state alone are together."""
    sample = Sample.of(name)
    sets: dict[str, dict[str, float]] = {}
    for tags, value in zip(data.tags, data.values, strict=True):
        if data.key in tags:
            others = {key: tags[key] for key in tags if key != data.key}
            sets.setdefault(labels.text(others, name), {})[tags[data.key]] = value
    return [
        f"{sample.with_labels(text, label(name, state))} {number(value)}\n"
        for text, states in sets.items()
        for state, value in states.items()
    ]


def _summaries(name: str, data: SummaryData, labels: Labels, *, created: bool) -> list[str]:
    lines = []
    quantile, count, total, born = (Sample.of(f"{name}{suffix}") for suffix in ("", "_count", "_sum", "_created"))
    for text, rows in groups([labels.text_beside(tags, "quantile") for tags in data.tags]).items():
        lines += quantile_lines(quantile, text, data, rows, _edge)
        lines.append(f"{count.with_labels(text)} {sum([data.counts[row] for row in rows])}\n")
        both = sum([data.sums[row] for row in rows])
        if both >= 0:
            lines.append(f"{total.with_labels(text)} {number(both)}\n")
        if created:
            lines += _created(born, text, data.created, rows)
    return lines


def _histograms(name: str, data: HistogramData | ExponentialHistogramData, labels: Labels, *, created: bool) -> list[str]:
    lines = []
    suffixes = ("_bucket", "_count", "_sum", "_created")
    bucket, count, total, born = (Sample.of(f"{name}{suffix}") for suffix in suffixes)
    for text, rows in groups([labels.text_beside(tags, "le") for tags in data.tags]).items():
        histogram = data.row(*rows)
        notes = _bucket_notes(_of_rows(data.exemplars, rows), histogram.bounds)
        lines += bucket_lines(bucket, text, histogram, _edge, notes)
        if histogram.sum >= 0 and _has_sum(histogram.bounds):
            lines.append(f"{count.with_labels(text)} {histogram.count}\n")
            lines.append(f"{total.with_labels(text)} {number(histogram.sum)}\n")
        if created:
            lines += _created(born, text, data.created, rows)
    return lines


def _has_sum(bounds: Sequence[float]) -> bool:
    """Return True unless a bucket may hold what is below 0."""
    return not bounds or bounds[0] >= 0


def _edge(bound: float) -> str:
    """Return a bound as Go writes it, in the shortest form, but never as an integer: `0.5`, `1.0`, `1e+06`.

    Source: OpenMetrics 1.0, section "Considerations: Canonical Numbers".
    """
    whole, _, rest = repr(abs(bound)).partition(".")
    if len(whole) < 7:  # up to a million, and from where Python writes exponents too
        return repr(bound)
    digits = f"{whole}{rest}".rstrip("0")
    return f"{'-' if bound < 0 else ''}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e+{len(whole) - 1:02d}"


def _created(sample: Sample, text: str, times: Sequence[float], rows: Iterable[int]) -> list[str]:
    """Return the line that tells when the first of some series was created; nothing if nobody knows."""
    first = min([times[row] for row in rows if 0 < times[row] < inf], default=0.0)
    return [f"{sample.with_labels(text)} {number(first)}\n"] if first else []


def _of_rows(exemplars: Sequence[Sequence[Exemplar]], rows: Iterable[int]) -> list[Exemplar]:
    return [exemplar for row in rows for exemplar in exemplars[row]] if exemplars else []


def _time(exemplar: Exemplar) -> float:
    return exemplar.time


def _bucket_notes(exemplars: list[Exemplar], bounds: Sequence[float]) -> list[str]:
    """Return the newest exemplar of each bucket; nothing at all if no bucket has one."""
    newest = {bisect_left(bounds, one.value): one for one in sorted(exemplars, key=_time) if one.value == one.value}
    return [_note(newest[i]) if i in newest else "" for i in range(len(bounds) + 1)] if newest else []


def _can_note(exemplars: Sequence[Sequence[Exemplar]]) -> bool:
    """Return True if it is known which rows have exemplars."""
    return not exemplars or isinstance(exemplars, SparseColumn)


def _notes(exemplars: Sequence[Sequence[Exemplar]], place: Callable[[float], float]) -> tuple[Note, ...]:
    """Return exemplars as an `Exposition` takes them: what `_bucket_notes` returns for all rows."""
    if not isinstance(exemplars, SparseColumn):
        return ()
    notes = []
    for row, some in exemplars.rows.items():
        ranked = sorted(some, key=_time) if len(some) > 1 else some
        found = [(row, place(one.value), rank, _note(one)) for rank, one in enumerate(ranked)]
        notes += sorted(found) if len(found) > 1 else found
    return tuple(notes)


def _no_place(value: float) -> float:
    return 0.0


def _note(exemplar: Exemplar) -> str:
    """Return an exemplar as it follows the number of a sample."""
    if sum([len(name) + len(value) for name, value in exemplar.labels]) > _LONGEST:
        return ""
    time = f" {exemplar.time!r}" if isfinite(exemplar.time) else ""
    return f" # {{{plain_text(exemplar.labels)}}} {number(exemplar.value)}{time}"
