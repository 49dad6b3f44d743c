"""Tables as lines that fit a width: the path is said once, names are shortened or get lines of their own, columns are split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tallymark.bench.show.shorten import cells, chunks, cut, filled, printable, shortened, split_name
from tallymark.bench.show.table import Better, Table, Worse

Piece = tuple[str, str]
Line = list[Piece]  # texts, each with its style: better, worse, heading, header, warning, failure, or none

GAPS = (2, 1)  # columns between columns; one where it must be
LEAST = 20  # columns for names: with fewer, longer names get lines of their own


@dataclass(frozen=True)
class _Row:
    file: str
    label: str
    figures: tuple[str, ...]
    note: str

    @property
    def is_metric(self) -> bool:
        return self.label.startswith("  ")

    @property
    def is_name(self) -> bool:
        return not self.is_metric

    @property
    def has_figures(self) -> bool:
        return any(self.figures)


@dataclass(frozen=True)
class _Grid:
    corner: str  # the header of the names
    headers: tuple[str, ...]
    rows: tuple[_Row, ...]

    @cached_property
    def widths(self) -> list[int]:
        columns = zip(self.headers, *(row.figures for row in self.rows), strict=True)
        return [max(map(cells, column)) for column in columns]

    @property
    def beside(self) -> list[str]:
        """The names that stand beside figures."""
        return list(dict.fromkeys(row.label for row in self.rows if row.is_name and row.has_figures))

    @cached_property
    def metrics(self) -> int:
        """Columns for the names of metrics, which are never shortened."""
        return max((cells(row.label) for row in self.rows if row.is_metric), default=0)

    def columns(self, first: int, last: int | None) -> _Grid:
        """Return some of the columns, with the rows that have something in them; notes stand with the last columns."""
        parts = [_Row(row.file, row.label, row.figures[first:last], "" if last else row.note) for row in self.rows]
        kept = tuple(part for part in parts if part.is_name or part.has_figures or part.note)
        return _Grid(self.corner, self.headers[first:last], kept)


def fitted(table: Table, width: int, path: bool = True) -> list[Line]:
    """Return a table as lines that are at most so many columns wide.

    The path of a benchmark's file stands above its benchmarks; `path=False` leaves out the one that is common to all. A name
    that is too long is shortened in the middle, its parameters last. Where that would make two names equal, or leave too little
    of them, names get lines of their own, above their figures. What is still too wide is split: the last columns follow in a
    second table.
    """
    grid = _grid(table)
    files = list(dict.fromkeys(row.file for row in grid.rows))
    lines: list[Line] = []
    if len(files) == 1 and files[0]:
        lines += _own_lines(files[0], width, "heading") if path else []
        grid = replace(grid, rows=tuple(replace(row, file="") for row in grid.rows))
    lines += _arranged(grid, width)
    return lines


def _grid(table: Table) -> _Grid:
    noted = len(table.headers) > 1 and not table.headers[-1]
    last = -1 if noted else None
    rows, file = [], ""
    for row in table.rows:
        label = printable(row[0])
        if not label.startswith("  "):
            file, label = split_name(label)
        rows.append(_Row(file, label, row[1:last], printable(row[-1]) if noted else ""))
    return _Grid(printable(table.headers[0]), table.headers[1:last], tuple(rows))


def _arranged(grid: _Grid, width: int) -> list[Line]:
    for gap in GAPS:
        figures = sum(grid.widths) + gap * len(grid.headers)
        if (labels := _beside(grid, width - figures - _indent(grid))) is not None:
            return list(_drawn(grid, labels, gap, width))
        if figures + max(grid.metrics, 2) <= width:
            return list(_drawn(grid, None, gap, width))
    fits = _most_columns(grid, width)
    if fits >= len(grid.headers):
        return list(_drawn(grid, None, 1, width))
    return [*_arranged(grid.columns(0, fits), width), [], *_arranged(grid.columns(fits, None), width)]


def _beside(grid: _Grid, space: int) -> dict[str, str] | None:
    """Return what each name is shown as beside its figures; None if that cannot be."""
    names = grid.beside
    longest = max(map(cells, names), default=0)
    if max(longest, grid.metrics) <= space:
        return {name: name for name in names}
    if space < max(LEAST, grid.metrics) or (short := shortened(names, space)) is None:
        return None
    return dict(zip(names, short, strict=True))


def _most_columns(grid: _Grid, width: int) -> int:
    """Return how many of the columns fit beside names, at least one."""
    names = min(max(map(cells, grid.beside), default=0), LEAST)
    taken, fits = max(names, grid.metrics) + _indent(grid), 0
    for one in grid.widths:
        taken += one + GAPS[0]
        if taken > width:
            break
        fits += 1
    return max(fits, 1)


def _indent(grid: _Grid) -> int:
    """Return by how much names are indented: below paths, unless metrics are indented below names."""
    return 2 if any(row.file for row in grid.rows) and not grid.metrics else 0


def _drawn(grid: _Grid, labels: dict[str, str] | None, gap: int, width: int) -> Iterator[Line]:
    """Yield lines. Without labels, each name is on a line of its own."""
    first, file = _first_column(grid, labels, gap, width), ""
    if labels is None and grid.corner:
        yield from _own_lines(grid.corner, width, "header")
    yield _row(cut(grid.corner, first) if labels is not None else "", grid.headers, first, grid.widths, gap, "header")
    for row in grid.rows:
        if row.file != file:
            file = row.file
            yield from _own_lines(file, width, "heading")
        label = row.label
        if row.is_name and row.has_figures and labels is not None:
            label = " " * _indent(grid) + labels[label]
        elif row.is_name:
            yield from _own_lines(label, width, "name", _indent(grid))
            label = ""
        if row.has_figures or row.note:
            yield from _noted(_row(label, row.figures, first, grid.widths, gap), row.note, width)


def _first_column(grid: _Grid, labels: dict[str, str] | None, gap: int, width: int) -> int:
    """Return the width of the column of names."""
    if labels is None:
        return grid.metrics
    room = width - sum(grid.widths) - gap * len(grid.widths)
    return max(grid.metrics, min(cells(grid.corner), room), *(_indent(grid) + cells(label) for label in labels.values()))


def _row(label: str, figures: Sequence[str], first: int, widths: Sequence[int], gap: int, style: str = "") -> Line:
    line: Line = [(label + " " * (first - cells(label)), "")]
    for figure, width in zip(figures, widths, strict=True):
        line.append((" " * (gap + width - cells(figure)), ""))
        line.append((str(figure), style or _style(figure)))
    while line and not line[-1][0].strip():
        line.pop()
    return line


def _style(figure: str) -> str:
    return "better" if isinstance(figure, Better) else "worse" if isinstance(figure, Worse) else ""


def _noted(line: Line, note: str, width: int) -> Iterator[Line]:
    """Put a note at the end of a line, or below it."""
    if note and width_of(line) + 2 + cells(note) <= width:
        yield [*line, ("  " + note, "")]
        return
    if line:
        yield line
    for part in filled(note, width - 4) if note else ():
        yield from _own_lines(part, width, "", 4)


def _own_lines(text: str, width: int, style: str, indent: int = 0) -> Iterable[Line]:
    return [[(" " * indent + piece, style)] for piece in chunks(text, width - indent)]


def width_of(line: Line) -> int:
    """Return how many columns a line takes."""
    return sum(cells(text) for text, _ in line)
