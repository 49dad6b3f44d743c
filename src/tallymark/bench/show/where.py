"""Where cost comes from, as text: lines beside their source, and what differs between two revisions."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Iterator, Sequence
from typing import TextIO

from tallymark.bench.compare.lines import LineChange
from tallymark.bench.result.profile import Cost, Place, Profile, total
from tallymark.bench.units import format_bytes, format_count, format_seconds

__all__ = ["changes_text", "show_text", "where_text"]

NARROW = 80
_NOTHING = "-"
_SMALL = 0.01  # a share of the time; lines that ask for nothing and take less are not shown one by one
_TYPES = 10  # types shown one by one


def show_text(lines: Sequence[str], stream: TextIO) -> None:
    """Write lines of text."""
    stream.write("\n".join(lines) + "\n")


def width_of(stream: TextIO) -> int:
    """Return the width of a terminal, or 80 where there is none."""
    return max(NARROW, shutil.get_terminal_size((NARROW, 24)).columns) if stream.isatty() else NARROW


def where_text(profile: Profile, by: str = "allocs", top: int = 20, width: int = NARROW) -> list[str]:
    """Return a profile as lines of text: the `top` lines that cost most in `by`, in groups by function, beside their source."""
    whole = profile.cost
    columns = _columns(profile, whole)
    ranked = sorted(profile.lines().items(), key=lambda one: (-getattr(one[1], by), -one[1].time, one[0].file, one[0].line))
    matter = [(place, cost) for place, cost in ranked if cost.time >= _SMALL * whole.time or not only_time(cost)][:top]
    shown, rest = matter, [one for one in ranked if one not in matter]
    rows: list[tuple[str, ...]] = []
    for group in _groups(shown, by):
        rows.append((_title(group[0][0]), *[""] * len(columns), ""))
        rows += [_row(str(place.line or ""), cost, whole, columns, place.text) for place, cost in group]
    if rest:
        rows.append(_row("", total(cost for _, cost in rest), whole, columns, f"{len(rest)} other line{'s' * (len(rest) > 1)}"))
    rows.append(_row("", whole, whole, columns, "one op"))
    return [
        *_heading(profile, whole, width),
        "",
        *_aligned(("line", *columns, "source"), rows, width),
        "",
        *_notes(profile, width),
    ]


def only_time(cost: Cost) -> bool:
    """Return True if a line asks for nothing."""
    return not (cost.allocs or cost.reallocs or cost.bytes or cost.types)


def _columns(profile: Profile, whole: Cost) -> tuple[str, ...]:
    """Return the columns that are not empty."""
    if "allocs" in profile.reasons:
        return ("time",)
    counted = ("allocs", *(("reallocs",) if whole.reallocs else ()), "bytes", *(("objects",) if whole.objects else ()))
    return (*counted, "time")


def _groups(lines: Sequence[tuple[Place, Cost]], by: str) -> list[list[tuple[Place, Cost]]]:
    groups: dict[tuple[str, str], list[tuple[Place, Cost]]] = {}
    for place, cost in lines:
        groups.setdefault((place.file, place.function), []).append((place, cost))
    ordered = [sorted(group, key=lambda one: one[0].line) for group in groups.values()]
    return sorted(ordered, key=lambda group: -sum(getattr(cost, by) for _, cost in group))


def _title(place: Place) -> str:
    return f"{place.file}  {place.function}" if place.file else place.function


def _row(line: str, cost: Cost, whole: Cost, columns: Sequence[str], text: str) -> tuple[str, ...]:
    return (f"{line:>6}", *(_figure(column, cost, whole) for column in columns), text)


def _figure(column: str, cost: Cost, whole: Cost) -> str:
    if column == "time":
        return f"{cost.time / whole.time:.0%}" if whole.time else _NOTHING
    return (format_bytes if column == "bytes" else format_count)(getattr(cost, column))


def _aligned(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    """Align the figures; a title, whose figures are empty, and a source may be as long as the line, and are cut there."""
    table = [(f"{headers[0]:>6}", *headers[1:]), *rows]
    figures = range(1, len(headers) - 1)
    widths = {i: max(len(row[i]) for row in table) for i in figures}
    lines = []
    for row in table:
        if not any(row[i] for i in figures) and row[0]:
            lines.append(_cut_middle(printable(row[0]), width))
        else:
            cells = [row[0], *(row[i].rjust(widths[i]) for i in figures), printable(row[-1])]
            lines.append(_cut_end("  ".join(cells).rstrip(), width))
    return lines


def printable(text: str) -> str:
    """Return text in one line, without characters that move a cursor or colour a terminal."""
    return "".join(one if one.isprintable() else " " if one == "\t" else "�" for one in text)


def _cut_end(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _cut_middle(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    keep = width - 1
    return f"{text[: keep // 2]}…{text[-(keep - keep // 2) :]}"


def _heading(profile: Profile, whole: Cost, width: int) -> list[str]:
    figures = [f"{format_count(whole.allocs)} allocs", f"{format_count(whole.reallocs)} reallocs", format_bytes(whole.bytes)]
    if "allocs" in profile.reasons:
        figures = []
    if whole.objects:
        figures.append(f"{format_count(whole.objects)} objects")
    if whole.time:
        figures.append(format_seconds(whole.time))
    return [_cut_middle(printable(profile.name), width), f"one op in steady state: {', '.join(figures)}"]


def _notes(profile: Profile, width: int) -> Iterator[str]:
    types = _types(profile)
    if types:
        yield from (_cut_end(printable(line), width) for line in types)
        yield ""
    if profile.samples:
        error = 1.96 * math.sqrt(0.25 / profile.samples)
        lost = f", {profile.lost:,} more were lost" if profile.lost else ""
        yield f"time: {profile.samples:,} samples{lost}; a share is right to within {error:.1%}"
    if not profile.exact:
        yield "counts: not the same in each repetition; these are of the one with the least"
    for what, reason in profile.reasons.items():
        yield f"EMPTY {what}: {reason}"


def _types(profile: Profile) -> list[str]:
    made: dict[str, list[tuple[float, Place]]] = {}
    for place, cost in profile.lines().items():
        for name, count in cost.types.items():
            made.setdefault(name, []).append((count, place))
    if not made:
        return []
    rows = []
    for name, places in sorted(made.items(), key=lambda one: (-sum(count for count, _ in one[1]), one[0])):
        places.sort(key=lambda one: (-one[0], one[1].file, one[1].line))
        where = ", ".join(f"{place.name} ({format_count(count)})" for count, place in places)
        rows.append(f"{format_count(round(sum(count for count, _ in places), 6)):>7}  {name}: {where}")
    more = [f"{'':>7}  and {len(rows) - _TYPES} other types"] if len(rows) > _TYPES else []
    return ["objects  type: made at", *rows[:_TYPES], *more]


def changes_text(old: Profile, new: Profile, changes: Sequence[LineChange], top: int = 20, width: int = NARROW) -> list[str]:
    """Return the lines whose figures changed, as lines of text; those that differ most are the first."""
    before, after = old.cost, new.cost
    columns = [one for one in ("allocs", "reallocs", "bytes", "objects") if getattr(before, one) or getattr(after, one)]
    rows = [(*columns, "time", "line"), *(_changed(one, columns, before, after) for one in changes[:top])]
    texts = [[], *map(_texts, changes[:top])]
    if rest := changes[top:]:
        rows.append(_delta_row(_together(rest), columns, f"{len(rest)} other line{'s' * (len(rest) > 1)}"))
    times = f" ({format_seconds(before.time)} -> {format_seconds(after.time)})" if before.time and after.time else ""
    rows.append(_delta_row(LineChange(None, None, before, after), columns, f"one op{times}"))
    return [
        _cut_middle(printable(new.name), width),
        f"{printable(old.side)} -> {printable(new.side)}, one op in steady state",
        "",
        *_blocks(rows, texts, width),
        *_change_notes(old, new, changes),
    ]


def _blocks(rows: Sequence[tuple[str, ...]], texts: Sequence[list[str]], width: int) -> Iterator[str]:
    """Yield rows with their figures aligned, and below each the texts that belong to it."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    indent = " " * (sum(widths) + 2 * len(widths))
    for row, below in zip(rows, itertools.chain(texts, itertools.repeat([])), strict=False):
        cells = [cell.rjust(size) for cell, size in zip(row, widths, strict=False)]
        yield _cut_end("  ".join([*cells, printable(row[-1])]).rstrip(), width)
        yield from (_cut_end(indent + printable(text), width) for text in below)


def _change_notes(old: Profile, new: Profile, changes: Sequence[LineChange]) -> Iterator[str]:
    if not changes:
        yield "no line costs more or less than before"
    if old.python != new.python:
        yield f"the sides ran on different Pythons, {old.python} and {new.python}: their allocations differ by that too"
    for side in (old, new):
        yield from (f"EMPTY {what} ({side.side}): {reason}" for what, reason in side.reasons.items() if what != "objects")


def _together(changes: Sequence[LineChange]) -> LineChange:
    return LineChange(None, None, total(one.before for one in changes), total(one.after for one in changes))


def _delta_row(change: LineChange, columns: Sequence[str], text: str) -> tuple[str, ...]:
    return (*(_delta(one, change) for one in columns), "", text)


def _changed(change: LineChange, columns: Sequence[str], before: Cost, after: Cost) -> tuple[str, ...]:
    place = change.new or change.old
    assert place is not None  # noqa: S101
    moved = change.old is not None and change.new is not None and change.old.name != change.new.name
    note = f" (was {change.old.line})" if moved and change.old else ("" if change.new else " (gone)")
    time = f"{change.before.time / before.time:.0%} -> {change.after.time / after.time:.0%}" if change.timed else ""
    return (*(_delta(one, change) for one in columns), time, f"{place.name}{note} {place.function if place.file else ''}")


def _delta(metric: str, change: LineChange) -> str:
    delta = round(change.delta(metric), 6)
    return (format_bytes if metric == "bytes" else format_count)(delta, signed=True) if delta else "0"


def _texts(change: LineChange) -> list[str]:
    old = change.old.text if change.old else ""
    new = change.new.text if change.new else ""
    if old == new:
        return [f"  {new}"] if new else []
    return [*([f"- {old}"] if old else []), *([f"+ {new}"] if new else [])]
