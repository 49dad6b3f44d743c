"""Where the cost of an op comes from: a tree of calls, line by line, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["METRICS", "NOWHERE", "Cost", "Node", "Place", "Profile", "merged", "total"]

#: What lines are compared and drawn by, with the units of it.
METRICS = {"allocs": "none", "bytes": "bytes", "time": "seconds"}


@dataclass(frozen=True)
class Place:
    """A line of a function.

    Attributes:
        file: relative to the directory that is measured, or to one on the import path; else as Python knows it.
        function: its qualified name.
        line: the line's number.
        first: the number of the function's first line.
        text: the line itself, if its file can be read.
    """

    file: str
    function: str
    line: int
    first: int = 0
    text: str = ""

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.function


#: What no Python line asked for.
NOWHERE = Place("", "not at a Python line", 0)


@dataclass(frozen=True)
class Cost:
    """What a line costs in one op, without what it calls: as counted, and the time as estimated from samples, in seconds."""

    allocs: float = 0.0
    reallocs: float = 0.0
    bytes: float = 0.0
    time: float = 0.0
    types: dict[str, float] = field(default_factory=dict)  # objects created, on Python 3.13 and later

    @property
    def objects(self) -> float:
        return round(sum(self.types.values()), 6)

    def __bool__(self) -> bool:
        return any((self.allocs, self.reallocs, self.bytes, self.time, self.types))


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs. Sums of sevenths and the like are rounded, so that they are whole where they should be."""
    costs = list(costs)
    types: dict[str, float] = {}
    for cost in costs:
        for name, count in cost.types.items():
            types[name] = round(types.get(name, 0.0) + count, 6)
    sums = {one: round(sum(getattr(cost, one) for cost in costs), 6) for one in ("allocs", "reallocs", "bytes")}
    types = {name: count for name, count in types.items() if count}
    return Cost(**sums, time=sum(cost.time for cost in costs), types=types)


@dataclass(frozen=True)
class Node:
    """A line as called from another: the index of its caller's node, which comes before it, or -1; and its own cost."""

    parent: int
    place: Place
    cost: Cost


@dataclass(frozen=True)
class Profile:
    """Where the cost of one op of a benchmark comes from, in steady state.

    Attributes:
        name: the benchmark's.
        side: the target's name.
        python: its version.
        nodes: a tree. The costs of all nodes add up to the op's.
        exact: the repetitions of the counting agree.
        samples: how many samples the times are estimated from.
        lost: how many more could not be read.
        reasons: what was not measured, and why.
    """

    name: str
    side: str = "this"
    python: str = ""
    nodes: tuple[Node, ...] = ()
    exact: bool = True
    samples: int = 0
    lost: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> Cost:
        """The cost of one op."""
        return total(node.cost for node in self.nodes)

    def lines(self) -> dict[Place, Cost]:
        """Return what each line costs itself, wherever it was called from."""
        costs: dict[Place, list[Cost]] = {}
        for node in self.nodes:
            if node.cost:
                costs.setdefault(node.place, []).append(node.cost)
        return {place: total(found) for place, found in costs.items()}

    def stack(self, node: Node) -> list[Place]:
        """Return the places from the outermost call to a node's."""
        places = [node.place]
        while node.parent >= 0:
            node = self.nodes[node.parent]
            places.append(node.place)
        return places[::-1]


def merged(trees: Sequence[Sequence[Node]]) -> tuple[Node, ...]:
    """Return one tree with the costs of several, without nodes that cost nothing, nor call what does."""
    found: dict[tuple[int, Place], int] = {}
    parents: list[tuple[int, Place]] = []
    costs: list[list[Cost]] = []
    for tree in trees:
        at: list[int] = []
        for node in tree:
            key = (at[node.parent] if node.parent >= 0 else -1, node.place)
            if key not in found:
                found[key] = len(parents)
                parents.append(key)
                costs.append([])
            at.append(found[key])
            costs[found[key]].append(node.cost)
    nodes = [Node(parent, place, total(own)) for (parent, place), own in zip(parents, costs, strict=True)]
    return _pruned(nodes)


def _pruned(nodes: Sequence[Node]) -> tuple[Node, ...]:
    needed = [bool(node.cost) for node in nodes]
    for i in range(len(nodes) - 1, -1, -1):  # a caller comes before what it calls
        if needed[i] and nodes[i].parent >= 0:
            needed[nodes[i].parent] = True
    at: dict[int, int] = {-1: -1}
    kept: list[Node] = []
    for i, node in enumerate(nodes):
        if needed[i]:
            at[i] = len(kept)
            kept.append(Node(at[node.parent], node.place, node.cost))
    return tuple(kept)


def tree_of(rows: Iterable[Any], cost: Callable[..., Cost]) -> list[Node]:
    """Return the tree that a worker answered with: rows of a parent's index, a place, and the figures of its cost."""
    return [Node(parent, Place(*place), cost(*figures)) for parent, place, figures in rows]
