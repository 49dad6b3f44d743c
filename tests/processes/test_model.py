"""The protocol of slots, as `engine/native/shared.h` states it, checked against every interleaving of a few processes.

A model of what `slot.c`, `shared_family.c` and `burial.c` do to slots, a step for each write that others see. The walk tries
all orders in which three processes may take their steps, and kills each process between any two. The last test breaks the
protocol, one rule after the other, and checks that the walk finds each fault.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.once]

TAGS = ("a", "b")
IDLE = ("idle",)
NOBODY = -1
SOAK = int(os.environ.get("TALLYMARK_KILLS", "0")) > 200  # `make soak` walks three times as far


class Slot(NamedTuple):
    """Space for one series."""

    tag: str = ""
    live: bool = False
    chained: bool = False  # found by its tag
    holders: frozenset[int] = frozenset()


class Process(NamedTuple):
    """What one process knows, and what it does next."""

    alive: bool = True
    table: tuple[int | None, ...] = (None,) * len(TAGS)  # the slot of each tag
    todo: tuple = IDLE
    ops: int = 2  # that it may still begin


class World(NamedTuple):
    """Everything."""

    slots: tuple[Slot, ...]
    processes: tuple[Process, ...]
    lock: int = NOBODY
    kills: int = 1

    def slot(self, index: int, **changes: object) -> World:
        return self._replace(slots=replaced(self.slots, index, self.slots[index]._replace(**changes)))

    def process(self, index: int, **changes: object) -> World:
        return self._replace(processes=replaced(self.processes, index, self.processes[index]._replace(**changes)))

    def point(self, index: int, tag: str, slot: int | None) -> World:
        return self.process(index, table=replaced(self.processes[index].table, TAGS.index(tag), slot))


def replaced(items: tuple, index: int, item: object) -> tuple:
    return (*items[:index], item, *items[index + 1 :])


class Model:
    """The protocol; `broken` names a rule that it does not keep."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def successors(self, world: World) -> Iterator[World]:
        """Yield each world that one step of one process can make of this one."""
        for me, process in reversed(list(enumerate(world.processes))):  # so that the walk forks first: it finds faults sooner
            if not process.alive:
                if world.lock == NOBODY:  # another process takes its place
                    yield world._replace(lock=me).process(me, **Process(todo=("clear", 0), ops=1)._asdict())
                continue
            if world.kills:
                killed = world._replace(kills=world.kills - 1, lock=NOBODY if world.lock == me else world.lock)
                yield killed.process(me, alive=False, todo=IDLE, table=Process().table)
            if process.todo != IDLE:
                yield from getattr(self, process.todo[0])(world, me, *process.todo[1:])
            elif process.ops:
                begun = world.process(me, ops=process.ops - 1)
                for tag in TAGS:
                    yield begun.process(me, todo=("check", tag))
                    yield begun.process(me, todo=("take_lock", ("end", tag)))
                yield from self.fork(begun, me)

    # Recording

    def check(self, world: World, me: int, tag: str) -> Iterator[World]:
        at = world.processes[me].table[TAGS.index(tag)]
        if at is None:
            yield world.process(me, todo=("take_lock", ("find", tag)))
        elif world.slots[at].live:
            yield world.process(me, todo=("add", tag, at))
        else:
            yield world.point(me, tag, None).process(me, todo=("let_go", at, ("check", tag)))

    def add(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        assert world.slots[at].tag == tag, "a record went to another series"
        yield world.process(me, todo=IDLE)

    def let_go(self, world: World, me: int, at: int, then: tuple) -> Iterator[World]:
        yield world.slot(at, holders=world.slots[at].holders - {me}).process(me, todo=then)

    # Making a series

    def take_lock(self, world: World, me: int, then: tuple) -> Iterator[World]:
        if world.lock == NOBODY:
            yield world._replace(lock=me).process(me, todo=then)

    def find(self, world: World, me: int, tag: str) -> Iterator[World]:
        found = [at for at, slot in enumerate(world.slots) if slot.chained and slot.tag == tag]
        free = [at for at, slot in enumerate(world.slots) if not slot.live and (not slot.holders or self.broken == "reuse")]
        if found:
            yield world.process(me, todo=("hold" if world.slots[found[0]].live else "init", tag, found[0]))
        elif free:
            begin = "live_early" if self.broken == "live last" else "unchain"
            yield world.process(me, todo=(begin, tag, free[0]))
        else:  # no space: to the overflow series, which is not modelled
            yield world._replace(lock=NOBODY).process(me, todo=IDLE)

    def live_early(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        yield world.slot(at, live=True).process(me, todo=("unchain", tag, at))

    def unchain(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        yield world.slot(at, chained=False).process(me, todo=("write", tag, at))

    def write(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        yield world.slot(at, tag=tag).process(me, todo=("chain", tag, at))

    def chain(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        yield world.slot(at, chained=True).process(me, todo=("init", tag, at))

    def init(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        assert not world.slots[at].live or self.broken == "live last", "the count of a live series was lost"
        yield world.process(me, todo=("hold", tag, at))

    def hold(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        late = self.broken == "hold" and world.lock == me
        held = world if late else world.slot(at, holders=world.slots[at].holders | {me})
        yield held.process(me, todo=("unlock" if world.slots[at].live else "enliven", tag, at))

    def enliven(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        yield world.slot(at, live=True).process(me, todo=("unlock", tag, at))

    def unlock(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        then = ("hold_late", tag, at) if self.broken == "hold" else ("check", tag)
        yield world._replace(lock=NOBODY).point(me, tag, at).process(me, todo=then)

    def hold_late(self, world: World, me: int, tag: str, at: int) -> Iterator[World]:
        yield world.slot(at, holders=world.slots[at].holders | {me}).process(me, todo=("check", tag))

    # Ending one, dying, and being forked

    def end(self, world: World, me: int, tag: str) -> Iterator[World]:
        for at, slot in enumerate(world.slots):
            if slot.chained and slot.tag == tag and slot.live:
                world = world.slot(at, live=False)
        mine = world.processes[me].table[TAGS.index(tag)]
        ended = world._replace(lock=NOBODY).point(me, tag, None)
        yield ended.process(me, todo=IDLE if mine is None else ("let_go", mine, IDLE))

    def clear(self, world: World, me: int, at: int) -> Iterator[World]:
        if at == len(world.slots):
            yield world._replace(lock=NOBODY).process(me, todo=IDLE)
        else:
            buried = world.slots[at].holders if self.broken == "bury" else {me}
            yield world.slot(at, holders=world.slots[at].holders - buried).process(me, todo=("clear", at + 1))

    def fork(self, world: World, me: int) -> Iterator[World]:
        """A child takes a free place: it clears that first, and knows no slots."""
        for other, process in enumerate(world.processes):
            if not process.alive and world.lock == NOBODY:
                table = world.processes[me].table if self.broken == "fork" else process.table
                child = Process(table=table, todo=("clear", 0), ops=1)
                yield world._replace(lock=other).process(other, **child._asdict())


def check(world: World) -> None:
    """What must hold in every world."""
    for tag in TAGS:
        live = [slot for slot in world.slots if slot.live and slot.tag == tag]
        assert len(live) <= 1, "two live slots for one series"
        assert all(slot.chained for slot in live), "a live series that nobody finds"


def walk(model: Model) -> int:
    """Visit every world that can be reached; return how many."""
    first = World((Slot(), Slot()), (Process(), Process(ops=2 if SOAK else 1), Process(alive=False)))
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


def test_no_interleaving_and_no_kill_breaks_a_promise() -> None:
    assert walk(Model()) > 100_000


@pytest.mark.parametrize("rule", ["reuse", "live last", "hold", "bury", "fork"])
def test_each_rule_is_needed(rule: str) -> None:
    """Only what nobody holds is reused; live comes last; hold under the lock; bury the dead alone; a child knows nothing."""
    with pytest.raises(AssertionError, match=r"a record|two live|nobody finds|was lost"):
        walk(Model(rule))
