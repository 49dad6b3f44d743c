"""Times several processes in turns of milliseconds, so that all of them see the same machine.

The speed of a shared machine may double or halve for seconds at a time. Values that are neighbours in time see the same
speed, and their ratio does not change with it. So a fresh process of each side is alive at the same time. They take a value
each in turn, in random order, and in the reverse order next (ABBA), so that a drift harms neither. This is duet benchmarking:
Bulej and others, Duet Benchmarking: Improving Measurement Accuracy in the Cloud, ICPE 2020. There, both sides run at the same
moment, on two cores; turns need only one, and keep the sides from slowing each other.

One process takes its turns alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import tempfile
import time
from collections.abc import Sequence
from typing import Any, Protocol

from tallymark.bench.measure.interrupt import held
from tallymark.bench.measure.run_worker import WORKER, Answer, Process, not_started, read_answer, too_long
from tallymark.bench.measure.target import Target

READY, GO, STOP = b"r", b"g", b"s"
_POLL = 0.25  # seconds after which a silent process is looked at: its pipe stays open if a child has it


class Player(Protocol):
    """A process that takes a value when it is told to."""

    def wait(self) -> bool:
        """Wait until it has done what it was told last. Return False if it ended, or takes too long."""
        ...

    def go(self) -> None:
        """Tell it to warm up, or later to take a value."""
        ...

    def pin(self, cpu: int) -> None:
        """Keep it on one CPU."""
        ...

    def finish(self) -> Answer:
        """Tell it to stop, and wait for its end. Return its answer, or what went wrong under `failed`."""
        ...


def play(players: Sequence[Player], rounds: int, budget: float) -> list[Answer | None]:
    """Let each player warm up, and then all take a value in each round, until `budget` seconds have passed.

    Return the answer of each player. There is one round more than is asked for, as the first only fills the caches of the
    processor; but one alone if the benchmark is too slow for a second. When a player fails, its answer says so, and those of
    the others are None.
    """
    failed = _act(players, range(len(players)), told=False) or _act(players, _shuffled(players))
    if not failed and len(players) > 1:
        cpu = random.choice(CPUS)  # noqa: S311
        for player in players:
            player.pin(cpu)
    order = _shuffled(players)
    began, taken = time.perf_counter(), 0
    while not failed and taken <= rounds and (taken == 0 or time.perf_counter() - began < budget):
        failed = _act(players, order)
        taken += 1
        order = order[::-1] if taken % 2 else _shuffled(players)
    return [None if failed and index not in failed else player.finish() for index, player in enumerate(players)]


def _shuffled(players: Sequence[Any]) -> list[int]:
    return random.sample(range(len(players)), len(players))


def _act(players: Sequence[Player], order: Sequence[int], told: bool = True) -> list[int]:
    """Let players act, one after the other. Return the first that failed, in a list; an empty one if all did it."""
    for index in order:
        if told:
            players[index].go()
        if not players[index].wait():
            return [index]
    return []


CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


class WorkerPlayer:
    """A worker that takes its turns over two pipes. It starts at once, and waits for its first turn when its setup is done."""

    def __init__(self, target: Target, request: dict[str, Any], seed: int, timeout: float) -> None:
        self._timeout, self._problem = timeout, ""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
        turns, self._tell = os.pipe()
        self._heard, told = os.pipe()
        self._process: Process | None = None
        text = json.dumps({**request, "answer": self._file.fileno(), "turns": [turns, told]})
        try:
            self._process = Process(target, [*WORKER, text], [self._file.fileno(), turns, told], seed)
        except OSError as error:
            self._problem = not_started(target, error)
        finally:
            os.close(turns)
            os.close(told)

    def wait(self) -> bool:
        deadline = time.monotonic() + self._timeout
        while self._process:
            if select.select([self._heard], [], [], _POLL)[0]:
                return os.read(self._heard, 1) == READY
            if self._process.ended:
                return False
            if time.monotonic() > deadline:
                self._problem = too_long(self._timeout)
                return False
        return False

    def go(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # `wait` finds out that it ended
            os.write(self._tell, GO)

    def pin(self, cpu: int) -> None:
        """Keep it on one CPU, if the system can, and it has one thread: several may need several CPUs."""
        if self._process and hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(OSError):
                if len(os.listdir(f"/proc/{self._process.pid}/task")) == 1:
                    os.sched_setaffinity(self._process.pid, {cpu})

    def finish(self) -> Answer:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._tell, STOP)
        if self._process is None:
            return {"failed": self._problem}
        problem = self._problem or self._process.wait(self._timeout)
        self._process.end()
        return read_answer(self._file, problem, self._process.printed)

    def end(self) -> None:
        """Kill its process if it still runs, and close all that is open."""
        if self._process:
            self._process.end()
        self._file.close()
        os.close(self._tell)
        os.close(self._heard)


def run_duet(sides: Sequence[tuple[Target, dict[str, Any]]], rounds: int, budget: float, timeout: float) -> list[Answer | None]:
    """Run a request on each target in turns; return what `play` returns.

    All have the same hash seed: code that is the same on both sides then has the same collisions.
    """
    seed = random.randrange(2**32)  # noqa: S311
    with contextlib.ExitStack() as stack:
        players = []
        for index in _shuffled(sides):
            with held():
                players.append((index, player := WorkerPlayer(*sides[index], seed, timeout)))
                stack.callback(player.end)
        return play([player for _, player in sorted(players, key=lambda one: one[0])], rounds, budget)
