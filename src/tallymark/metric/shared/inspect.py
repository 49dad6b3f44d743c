"""`tallymark inspect`: the contents of a file that processes share, as text for people, as JSON, and as a snapshot."""

from __future__ import annotations

import json
import time
from math import isfinite, nan

from tallymark.engine import load_engine
from tallymark.engine.columns import Columns
from tallymark.engine.description import number_text
from tallymark.engine.exponential import NO_BUCKETS, TOP_SCALE
from tallymark.engine.exponential_snapshot import ExponentialSnapshot
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.kinds import WITH_BUCKETS
from tallymark.engine.options import FamilyOptions
from tallymark.frozen import replace
from tallymark.metric.data import data_of
from tallymark.metric.names import ExpositionNames
from tallymark.metric.rejections import REJECTED
from tallymark.metric.shared.aggregate import combine
from tallymark.metric.shared.contents import Space
from tallymark.metric.shared.printable import printable
from tallymark.metric.snapshot import FamilySnapshot, Snapshot
from tallymark.metric.validation import PROCESS_CPU

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    from tallymark.metric.shared.contents import Contents, FamilyContents, SeriesContents
    from tallymark.metric.shared.entry import SharedEntry

    Row: TypeAlias = tuple[Any, float, Any]  # tag set, created, value

__all__ = ["json_text", "snapshot_of", "text_lines"]


# Text


def text_lines(contents: Contents) -> Iterator[str]:
    """Yield lines for people. Each is printable: no text of the file breaks one, or tells a terminal what to do."""
    space = contents.space
    yield printable(contents.path)
    yield f"space: {space.used:,} of {space.limit:,} bytes used, {space.size:,} on disk"
    if space.failed:
        yield f"space: {space.failed:,} requests failed"
    yield f"processes: {len(contents.processes)}"
    for process in contents.processes:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(_sane(process.since)))
        yield f"  {process.place}: pid {process.pid}, since {since}"
    for family in contents.families:
        yield from _family_lines(family)


def _family_lines(family: FamilyContents) -> Iterator[str]:
    entry = family.entry
    if entry is None:
        yield f"metric at {family.offset}: damaged"
        return
    unit = f" in {printable(entry.unit)}" if entry.unit else ""
    combined = f", {entry.aggregate} over processes" if entry.aggregate != "last" else ""
    yield f"{entry.kind} {printable(entry.name)}{unit}{combined}{'' if family.registered else ' (unregistered)'}"
    for series in family.series:
        yield f"  {{{_tags_text(series.tags)}}} {_value_text(series.value)}{_whose(series)}"


def _tags_text(tags: dict[str, str] | None) -> str:
    return "damaged" if tags is None else ",".join([f"{printable(key)}={_quoted(value)}" for key, value in tags.items()])


def _quoted(text: str) -> str:
    escaped = printable(text.replace("\\", "\\\\")).replace('"', '\\"')
    return f'"{escaped}"'


def _value_text(value: float | HistogramSnapshot | None) -> str:
    match value:
        case None:
            return "damaged"
        case HistogramSnapshot():
            return f"count {value.count}, sum {number_text(value.sum)}"
    return number_text(value)


def _whose(series: SeriesContents) -> str:
    if series.process is None:
        return " (of processes that ended)" if series.ended else ""
    return f" (of process {series.process}{', which ended' if series.ended else ''})"


def _sane(seconds: float) -> float:
    return seconds if 0 <= seconds < 2**33 else 0.0


# JSON


def json_text(contents: Contents) -> str:
    """Return JSON in ASCII alone, of which each number that JSON does not have is a text: "NaN", "Infinity", "-Infinity"."""
    space = {name: getattr(contents.space, name) for name in Space.__match_args__}
    processes = [{"place": one.place, "pid": one.pid, "since": _number(one.since)} for one in contents.processes]
    metrics = [_family_json(family) for family in contents.families]
    told = {"path": contents.path, "space": space, "processes": processes, "metrics": metrics}
    return json.dumps(told, indent=2, allow_nan=False)


def _family_json(family: FamilyContents) -> dict[str, Any]:
    entry = family.entry
    told: dict[str, Any] = {"offset": family.offset, "damaged": entry is None, "registered": family.registered}
    if entry is None:
        return told
    told |= {name: getattr(entry, name) for name in ("name", "kind", "unit", "description", "aggregate")}
    if entry.kind in WITH_BUCKETS:
        told["exponential"] = entry.is_exponential
        told["bounds"] = [_number(bound) for bound in entry.bounds]
    return told | {"series": [_series_json(series) for series in family.series]}


def _series_json(series: SeriesContents) -> dict[str, Any]:
    told: dict[str, Any] = {
        "damaged": series.tags is None or series.value is None, "tags": series.tags, "process": series.process,
        "ended": series.ended, "created": _number(series.created),
    }  # fmt: skip
    match series.value:
        case None:
            return told
        case HistogramSnapshot() as read:
            numbers = {name: _number(getattr(read, name)) for name in ("count", "sum", "min", "max")}
            return told | numbers | _buckets_json(read)
        case value:
            return told | {"value": _number(value)}


def _buckets_json(read: HistogramSnapshot) -> dict[str, Any]:
    if not isinstance(read, ExponentialSnapshot):
        return {"bucket_counts": list(read.bucket_counts)}
    told: dict[str, Any] = {"scale": read.scale, "zero_count": read.zero_count}
    for name in ("positives", "negatives"):
        first, counts = getattr(read, name)
        told[name] = {"first": first, "counts": list(counts)}
    return told


def _number(value: float) -> float | str:
    if isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


# A snapshot


def snapshot_of(contents: Contents) -> Snapshot:
    """Return what a registry that shares the file reads: without callbacks, collectors and what it tells of itself."""
    families: dict[str, FamilySnapshot] = {}
    entries = [family.entry for family in contents.families if family.entry is not None]
    names = ExpositionNames(order=lambda: [(entry.name, entry.kind, entry.unit) for entry in entries])
    names.give([(entry.name, entry.kind, entry.unit) for entry in entries])
    for family in contents.families:
        entry = family.entry
        if entry is None or not family.registered or entry.name in families or entry.name == PROCESS_CPU:
            continue
        rows = _combined(entry, _by_tags(family)) if entry.aggregate != "last" else _first(_by_tags(family))
        if rows or not (family.has_lived or entry.name == REJECTED):
            read = _family_snapshot(entry, rows or [_untagged(entry)])
            families[entry.name] = replace(read, exposition_name=names.of(entry.name, entry.kind, entry.unit))
    return Snapshot(tuple(families.values()), contents.time)


def _by_tags(family: FamilyContents) -> dict[Any, list[SeriesContents]]:
    make = load_engine("native").TagSet
    found: dict[Any, list[SeriesContents]] = {}
    for series in family.series:
        if series.tags is not None and series.value is not None:
            found.setdefault(make(series.tags), []).append(series)
    return found


def _first(found: dict[Any, list[SeriesContents]]) -> list[Row]:
    return [(tags, series[0].created, series[0].value) for tags, series in found.items()]


def _combined(entry: SharedEntry, found: dict[Any, list[SeriesContents]]) -> list[Row]:
    """What a process told leaves a sum when the process ends; it stays in a maximum or minimum."""
    rows = []
    for tags, series in found.items():
        present = [one for one in series if entry.aggregate != "sum" or not one.ended]
        if present:
            values: list[Any] = [one.value for one in present]
            rows.append((tags, min([one.created for one in present]), combine(entry.aggregate, values)))
    return rows


def _untagged(entry: SharedEntry) -> Row:
    """The one series of a metric that has none yet."""
    empty = HistogramSnapshot(entry.bounds, (0,) * (len(entry.bounds) + 1), 0.0, nan, nan)
    if entry.is_exponential:
        empty = ExponentialSnapshot(TOP_SCALE, 0, NO_BUCKETS, NO_BUCKETS, 0.0, nan, nan)
    return load_engine("native").TagSet(), 0.0, empty if entry.kind in WITH_BUCKETS else 0.0


def _distributions(values: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    """Return the columns of distributions, by their names: those of one type of buckets are empty in the others."""
    names = {
        "sums": "sum", "mins": "min", "maxs": "max", "bucket_counts": "bucket_counts", "scales": "scale",
        "zero_counts": "zero_count", "positives": "positives", "negatives": "negatives",
    }  # fmt: skip
    present = {column: name for column, name in names.items() if hasattr(values[0], name)}
    return {column: tuple([getattr(value, name) for value in values]) for column, name in present.items()}


def _family_snapshot(entry: SharedEntry, rows: list[Row]) -> FamilySnapshot:
    tags, created, values = map(tuple, zip(*rows, strict=True))
    columns = Columns(tags, created, **(_distributions(values) if entry.kind in WITH_BUCKETS else {"values": values}))
    like = FamilyOptions(entry.name, entry.kind, "", (), None, entry.limits, load_engine("native").TagSet())
    return FamilySnapshot(entry.name, entry.kind, entry.description, entry.unit, data_of(entry.options(like), columns))
