"""What a worker answers about where cost comes from: a tree of lines below the benchmark's function, with their text."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

from tallymark.bench import benchmark
from tallymark.bench.measure.passes.lines import LinesPass
from tallymark.bench.measure.passes.samples import Line, SamplePass
from tallymark.bench.stacks import CUT, NOWHERE, OTHER, Row

__all__ = ["counted_tree", "sampled_tree"]

Place = tuple[Any, ...]  # the fields of `result.profile.Place`
Tree = list[tuple[int, Place, list[Any]]]  # the index of the caller's row or -1, the line, and its figures


def _name(code: CodeType) -> tuple[str, str]:
    return code.co_filename, code.co_qualname


RUNNER = _name(benchmark.run_once.__code__)  # it calls the benchmark's function
LOOP = _name(benchmark.Benchmark._batches.__code__)  # it begins and ends readings, between ops
_SPECIAL = {NOWHERE: "not at a Python line", OTHER: "at other lines: there are too many", CUT: "outer calls, cut off"}


def counted_tree(measured: LinesPass, root: str) -> dict[str, Tree]:
    """Return what lines requested per op, and the objects that they created, as two trees."""
    place = _placer(root)
    rows, ops = measured.best()
    requested, at = _places(rows, place)
    counts = [[0, 0, 0] for _ in requested]
    for i, row in enumerate(rows):
        counts[at[i]] = [sum(pair) for pair in zip(counts[at[i]], row.growth()[:3], strict=True)]
    created, at = _places(measured.created, place)
    types: list[dict[str, float]] = [{} for _ in created]
    for i, row in enumerate(measured.created):
        if objects := row.growth()[3]:
            name = "other" if row.function is not None or i in _SPECIAL else row.file
            types[at[i]][name] = types[at[i]].get(name, 0) + objects / measured.created_in
    return {
        "requested": [(*one, [count / ops for count in own]) for one, own in zip(requested, counts, strict=True)],
        "created": [(*one, [own]) for one, own in zip(created, types, strict=True)],
    }


def _places(rows: Sequence[Row], place: Callable[..., Place]) -> tuple[list[tuple[int, Place]], list[int]]:
    """Return the tree of places below the benchmark's function, and for each row the index in it.

    What was asked for outside of that function, which is nothing but for accidents, is at no line. That is index 0.
    """
    places: list[tuple[int, Place]] = []
    at: list[int] = []  # -1 for the runner, below which the tree begins
    for i, row in enumerate(rows):
        if i in _SPECIAL:
            at.append(len(places))
            places.append((-1, ("", _SPECIAL[i], 0)))
        elif row.function is None:
            at.append(at[row.parent])
        elif at[row.parent] == 0:
            at.append(-1 if (row.file, row.function) == RUNNER else 0)
        else:
            at.append(len(places))
            places.append((at[row.parent], place(row.file, row.function, row.first, row.line)))
    return places, [max(one, 0) for one in at]


def sampled_tree(measured: SamplePass, root: str) -> dict[str, Any]:
    """Return the time of lines per op, as a tree, and how many samples it was estimated from."""
    place = _placer(root)
    tree: Tree = []
    found: dict[tuple[int, Line], int] = {}
    kept, lost = 0, measured.lost
    for stack, count in measured.stacks.items():
        names = [line[:2] for line in stack]
        if LOOP in names:
            continue
        if RUNNER not in names:
            lost += count
            continue
        parent = -1
        for line in stack[names.index(RUNNER) + 1 :]:
            key = (parent, line)
            if key not in found:
                found[key] = len(tree)
                tree.append((parent, place(*line), [0]))
            parent = found[key]
        if parent >= 0:
            kept += count
            tree[parent][2][0] += count
    for _, _, figures in tree:
        figures[0] = figures[0] / kept * measured.seconds
    return {"timed": tree, "samples": kept, "lost": lost}


def _placer(root: str) -> Callable[..., Place]:
    """Return a function that makes a place: (file as shown, function, line, first line, text)."""
    shown: dict[str, str] = {}
    paths = sorted({os.path.join(os.path.realpath(one), "") for one in (root, *sys.path) if one}, key=len, reverse=True)
    inside = os.path.join(os.path.realpath(root), "")

    def short(file: str) -> str:
        real = os.path.realpath(file)
        if not os.path.isabs(file) and not os.path.exists(real):
            return file
        if real.startswith(inside) and "site-packages" not in real:
            return real.removeprefix(inside)
        return next((real.removeprefix(path) for path in paths if real.startswith(path)), file)

    def place(file: str, function: str, first: int, line: int) -> Place:
        if file not in shown:
            shown[file] = short(file)
        return shown[file], function, line, first, linecache.getline(file, line).strip()

    return place
