"""The protocol of exponential buckets, as `engine/native/buckets.h` states it, against every interleaving of a few processes.

A model of what `buckets.c` does, a step for each atomic access, with two cells in a bank where there are 160. The walk tries
all orders in which three processes may take their steps, and kills each process between any two. The last test breaks the
protocol, one rule after the other, and checks that the walk finds each fault.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.once]

MOST = 2  # buckets
DONE = ("done",)


class Header(NamedTuple):
    """The epoch, the window, and whether the next epoch is being made."""

    epoch: int = 0
    first: int = 0
    size: int = 0
    moving: bool = False

    def has(self, index: int) -> bool:
        return self.first <= index >> self.epoch < self.first + self.size

    def grown(self, index: int) -> Header:
        at = index >> self.epoch
        if self.size == 0:
            return self._replace(first=at, size=1)
        least, most = min(at, self.first), max(at, self.first + self.size - 1)
        return self._replace(first=least, size=most - least + 1) if most - least < MOST else self._replace(moving=True)

    def halved(self) -> Header:
        first, last = self.first >> 1, (self.first + self.size - 1) >> 1
        return Header(self.epoch + 1, first, last - first + 1)


class Cell(NamedTuple):
    """A count, and what else is in its word."""

    count: int = 0
    epoch: int = 0
    sources: frozenset[int] = frozenset()
    frozen: bool = False


class World(NamedTuple):
    """The memory; what each process does next; what was counted so far."""

    header: Header
    cells: tuple[Cell, ...]
    todo: tuple[tuple, ...]
    counted: tuple[int, ...]
    kills: int = 1

    def at(self, epoch: int, bucket: int) -> int:
        return (epoch & 1) * MOST + bucket % MOST

    def swap(self, at: int, old: Cell, new: Cell) -> World | None:
        """Compare and swap a cell; None where it has changed."""
        return self._replace(cells=replaced(self.cells, at, new)) if self.cells[at] == old else None

    def does(self, me: int, *step: object) -> World:
        return self._replace(todo=replaced(self.todo, me, step))


def replaced(items: tuple, index: int, item: object) -> tuple:
    return (*items[:index], item, *items[index + 1 :])


class Model:
    """The protocol; `broken` names a rule that it does not keep."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def successors(self, world: World) -> Iterator[World]:
        """Yield each world that one step of one process can make of this one."""
        for me, step in enumerate(world.todo):
            if step == DONE:
                continue
            if world.kills:
                yield world._replace(kills=world.kills - 1).does(me, *DONE)
            yield getattr(self, step[0])(world, me, *step[1:])

    # Counting

    def count(self, world: World, me: int, index: int) -> World:
        return world.does(me, "look", index, world.header) if world.header.has(index) else world.does(me, "room", index)

    def look(self, world: World, me: int, index: int, header: Header) -> World:
        cell = world.cells[world.at(header.epoch, index >> header.epoch)]
        frozen = cell.frozen and self.broken != "frozen"
        own = cell.epoch == header.epoch or self.broken == "epoch"
        return world.does(me, "add", index, header, cell) if own and not frozen else world.does(me, "room", index)

    def add(self, world: World, me: int, index: int, header: Header, cell: Cell) -> World:
        swapped = world.swap(world.at(header.epoch, index >> header.epoch), cell, cell._replace(count=cell.count + 1))
        if swapped is None:
            return world.does(me, "look", index, header)
        return swapped._replace(counted=tuple(sorted((*world.counted, index)))).does(me, *DONE)

    # Making room

    def room(self, world: World, me: int, index: int) -> World:
        header = world.header
        if header.moving:
            begin = "move" if self.broken == "freeze" else "swing" if self.broken == "swing" else "freeze"
            return world.does(me, begin, index, header, header.first)
        return world.does(me, "take_over" if header.has(index) else "grow", index, header)

    def grow(self, world: World, me: int, index: int, header: Header) -> World:
        changed = world._replace(header=header.grown(index)) if world.header == header else world
        return changed.does(me, "count", index)

    def take_over(self, world: World, me: int, index: int, header: Header) -> World:
        at = world.at(header.epoch, index >> header.epoch)
        if world.cells[at].epoch >= header.epoch:
            return world.does(me, "count", index)
        return world.does(me, "take", index, header, world.cells[at])

    def take(self, world: World, me: int, index: int, header: Header, old: Cell) -> World:
        swapped = world.swap(world.at(header.epoch, index >> header.epoch), old, Cell(0, header.epoch))
        return (swapped or world).does(me, "count", index)

    # Making the next epoch

    def freeze(self, world: World, me: int, index: int, header: Header, bucket: int) -> World:
        if bucket == header.first + header.size:
            return world.does(me, "move", index, header, header.first)
        cell = world.cells[world.at(header.epoch, bucket)]
        late = cell.epoch > header.epoch and self.broken != "late"
        if late:
            return world.does(me, "count", index)
        stale = cell.epoch < header.epoch
        if (cell.epoch == header.epoch and cell.frozen) or (stale and self.broken == "stale"):
            return world.does(me, "freeze", index, header, bucket + 1)
        return world.does(me, "chill", index, header, bucket, cell)

    def chill(self, world: World, me: int, index: int, header: Header, bucket: int, old: Cell) -> World:
        own = old if old.epoch == header.epoch else Cell(0, header.epoch)
        swapped = world.swap(world.at(header.epoch, bucket), old, own._replace(frozen=True))
        return (swapped or world).does(me, "freeze", index, header, bucket + (swapped is not None))

    def move(self, world: World, me: int, index: int, header: Header, bucket: int) -> World:
        if bucket == header.first + header.size:
            return world.does(me, "swing", index, header, bucket)
        source = world.cells[world.at(header.epoch, bucket)]
        if source.epoch > header.epoch and self.broken != "late":
            return world.does(me, "count", index)
        return world.does(me, "aim", index, header, bucket, source)

    def aim(self, world: World, me: int, index: int, header: Header, bucket: int, source: Cell) -> World:
        target = world.cells[world.at(header.epoch + 1, bucket >> 1)]
        if target.epoch > header.epoch + 1 and self.broken != "late":
            return world.does(me, "count", index)
        if target.epoch == header.epoch + 1 and bucket & 1 in target.sources and self.broken != "once":
            return world.does(me, "move", index, header, bucket + 1)
        return world.does(me, "pour", index, header, bucket, source, target)

    def pour(self, world: World, me: int, index: int, header: Header, bucket: int, source: Cell, old: Cell) -> World:
        own = old if old.epoch == header.epoch + 1 else Cell(0, header.epoch + 1)
        held = source.count if source.epoch == header.epoch else 0
        new = own._replace(count=own.count + held, sources=own.sources | {bucket & 1})
        swapped = world.swap(world.at(header.epoch + 1, bucket >> 1), old, new)
        if swapped is None:
            return world.does(me, "aim", index, header, bucket, source)
        return swapped.does(me, "move", index, header, bucket + 1)

    def swing(self, world: World, me: int, index: int, header: Header, bucket: int) -> World:
        if self.broken == "swing" and bucket == header.first:  # before anything was moved
            turned = world._replace(header=header.halved()) if world.header == header else world
            return turned.does(me, "freeze", index, header, header.first)
        swung = world._replace(header=header.halved()) if world.header == header else world
        return swung.does(me, "count", index)


def check(world: World) -> None:
    """What a reader finds at any moment: each that was counted, in its bucket, once."""
    header = world.header
    found: Counter[int] = Counter()
    for bucket in range(header.first, header.first + header.size):
        cell = world.cells[world.at(header.epoch, bucket)]
        if cell.epoch == header.epoch:
            found[bucket] += cell.count
    assert +found == Counter(index >> header.epoch for index in world.counted), "counts are wrong"


def walk(model: Model, todo: tuple[int, ...], size: int = 2) -> int:
    """Visit every world that can be reached from a window with one observation in each bucket; return how many."""
    cells = tuple([Cell(1) if bucket < size else Cell() for bucket in range(2 * MOST)])
    first = World(Header(0, 0, size), cells, tuple(("count", index) for index in todo), tuple(range(size)))
    seen, waiting = {first}, [first]
    gc.disable()  # it would look again and again at worlds, all of which are kept
    try:
        while waiting:
            world = waiting.pop()
            check(world)
            for following in model.successors(world):
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
    finally:
        gc.enable()
    return len(seen)


CASES = [(2, 5, 1), (2, 3), (5, 7), (2, 2, 0)]
"""What processes observe: 2 needs one halving, 5 another one, 7 none beyond; 0 and 1 are in the window from the start."""


@pytest.mark.parametrize("todo", CASES, ids=str)
def test_no_interleaving_and_no_kill_loses_a_count(todo: tuple[int, ...]) -> None:
    assert walk(Model(), todo) > 300


@pytest.mark.parametrize("size", [0, 1])
def test_nor_does_a_window_that_still_grows(size: int) -> None:
    assert walk(Model(), (5, 1, 0), size) > 300


@pytest.mark.parametrize("rule", ["frozen", "epoch", "freeze", "swing", "once", "late", "stale"])
def test_each_rule_of_the_buckets_is_needed(rule: str) -> None:
    """Nothing frozen is swapped, nor what is of another epoch; freeze before moving; swing last; add once; stop when late;
    freeze what was never recorded to, too."""
    with pytest.raises(AssertionError, match="counts are wrong"):
        walk(Model(rule), CASES[0])
