"""The protocol of a place for an exemplar, as `engine/native/exemplar_block.h` states it, against every interleaving.

A model of what `exemplar_block.c` does to one place, a step for each read or write of a word: two writers, who may be killed
between any two of their steps, and a reader. An exemplar is two words, which must be of one writer. The last test breaks the
protocol, one rule after the other, and checks that the walk finds each fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

EMPTY = 0
NOBODY = -1


class Writer(NamedTuple):
    """One process that writes: what it does next, and the sequence number that it made odd."""

    at: str = "idle"
    sequence: int = 0
    writes: int = 2  # that it may still begin


class World(NamedTuple):
    """Everything. The words of an exemplar tell who wrote them, and which time."""

    sequence: int = 0
    words: tuple[int, int] = (EMPTY, EMPTY)
    lock: int = NOBODY
    writers: tuple[Writer, ...] = (Writer(), Writer())
    kills: int = 2
    reader: tuple[int, ...] = ()  # what it has read: the number, the words
    finished: int = EMPTY  # the last exemplar that was written to the end

    def writer(self, index: int, **changes: object) -> World:
        changed = self.writers[index]._replace(**changes)  # type: ignore[arg-type]
        return self._replace(writers=(*self.writers[:index], changed, *self.writers[index + 1 :]))


class Model:
    """The protocol; `broken` names a rule that it does not keep."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def successors(self, world: World) -> Iterator[World]:
        """Yield each world that one step of one process can make of this one."""
        yield self.read(world)
        for me, writer in enumerate(world.writers):
            if writer.at == "dead":
                continue
            if world.kills and writer.at != "idle":
                killed = world._replace(kills=world.kills - 1, lock=NOBODY if world.lock == me else world.lock)
                yield killed.writer(me, at="dead")
            if writer.at != "idle":
                yield self.write(world, me, writer)
            elif writer.writes and (world.lock == NOBODY or self.broken == "lock"):
                yield world._replace(lock=me).writer(me, at="odd", writes=writer.writes - 1)

    def write(self, world: World, me: int, writer: Writer) -> World:
        mine = 1 + me + 2 * writer.writes
        if writer.at == "odd":
            odd = world.sequence + 1 if self.broken == "goes on from an odd one" else world.sequence | 1
            if self.broken == "odd":
                odd = world.sequence
            return world._replace(sequence=odd).writer(me, at="first", sequence=odd)
        if writer.at == "first":
            return world._replace(words=(mine, world.words[1])).writer(me, at="second")
        if writer.at == "second":
            return world._replace(words=(world.words[0], mine)).writer(me, at="even")
        if writer.at == "even":
            even = writer.sequence + (2 if self.broken == "odd" else 1)
            return world._replace(sequence=even, finished=mine).writer(me, at="unlock")
        return world._replace(lock=NOBODY).writer(me, at="idle")

    def read(self, world: World) -> World:
        """Read the next word. At the end, check what counts as read, and begin again."""
        so_far = world.reader
        if len(so_far) < 3:
            return world._replace(reader=(*so_far, (world.sequence, *world.words)[len(so_far)]))
        number, first, second = so_far
        counts = number % 2 == 0 and (world.sequence == number or self.broken == "read again")
        assert not counts or first == second, "half of one exemplar, and half of another"
        return world._replace(reader=())


def walk(model: Model) -> int:
    """Visit every world that can come to be; return how many. `AssertionError` for one that must not."""
    seen = {World()}
    waiting = [World()]
    while waiting:
        world = waiting.pop()
        if all(writer.at in ("idle", "dead") for writer in world.writers) and world.finished != EMPTY:
            whole = world.sequence % 2 == 1 or world.words == (world.finished, world.finished)
            assert whole, "what was written is not what can be read"
        for after in model.successors(world):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return len(seen)


@pytest.mark.slow
@pytest.mark.once
def test_no_order_of_steps_and_kills_lets_half_of_one_be_read() -> None:
    assert walk(Model()) > 5_000


def test_the_next_writer_goes_on_from_one_that_was_killed() -> None:
    world = World(sequence=1, words=(5, EMPTY), kills=0)
    model = Model()
    for _ in range(6):
        world = next(after for after in model.successors(world) if after.writers[0] != world.writers[0])
    assert world.writers[0].at == "idle"
    assert (world.sequence, world.words) == (2, (world.finished, world.finished))


@pytest.mark.parametrize("rule", ["lock", "odd", "goes on from an odd one", "read again"])
def test_without_any_one_of_the_rules_the_walk_finds_a_fault(rule: str) -> None:
    with pytest.raises(AssertionError, match=r"half of one|what was written"):
        walk(Model(rule))
