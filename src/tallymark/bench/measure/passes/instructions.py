"""Instructions per op, in steady state: a slope between two batches of ops, read at several states of the heap."""

from __future__ import annotations

import gc

from tallymark.bench.measure.passes.guard import Batch, Guard, median, repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tallymark.bench.instructions import Counter

READINGS = 8
_WARM = 800_000_000  # instructions of warm-up, at most; a process under callgrind runs them in a second while it is paused
_COUNTED = 40_000_000  # instructions that are counted, about; callgrind takes half a second for them
_LARGE = 20_000_000  # an op of more is read alone, without a slope: what the loop costs is nothing beside it


class InstructionPass:
    """Instructions per op: (I(3n) - I(n)) / 2n, with the garbage collector off, eight times.

    All that is decided here, as n, follows from counts and not from a clock, so that equal code runs equally often.

    What an op costs depends a little on where its memory happens to lie: whether a block is the last of its pool, or an array
    grows in place. So the heap is stirred before each reading, in the same way in each process, and the median is the result.
    """

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.guard = Guard()
        self.readings: list[float] = []
        self.ops = 0
        self._count = 0
        self._heap = _Heap()

    def batches(self) -> Batch:
        yield from self.guard.first()
        gc.disable()
        self.guard = Guard()
        try:
            self._counter.resume()
            yield from self._read(1)
            self._counter.pause()
            size = max(self._count, 1)
            yield repeat(max(2, min(500, _WARM // size)))  # the interpreter specialises what runs often
            gc.collect()
            n = max(1, min(1000, _COUNTED // (4 * READINGS * size)))
            yield repeat(min(n, max(1, _WARM // size)))  # collecting emptied the free lists
            self._counter.resume()
            yield from self._read(1)  # the next runs as all that follow do
            yield from (self._large(size) if size > _LARGE else self._slopes(n, min(READINGS, max(2, _COUNTED // (4 * size)))))
            self._counter.pause()
            self.guard.look()
        finally:
            gc.enable()

    def _slopes(self, n: int, readings: int) -> Batch:
        for _ in range(readings):
            self._heap.stir()
            yield from self._read(1)
            yield from self._read(n)
            once = self._count
            yield from self._read(3 * n)
            self.readings.append((self._count - once) / (2 * n))

    def _large(self, size: int) -> Batch:
        """Keep the reading of the op that has just run alone; a second one if that takes no more than seconds."""
        self.readings.append(float(self._count))
        if size < 10 * _LARGE:
            yield from self._read(1)
            self.readings.append(float(self._count))

    def _read(self, n: int) -> Batch:
        iterations = repeat(n)
        self._counter.start()
        yield iterations
        self._count = self._counter.stop()
        self.ops += n

    @property
    def per_op(self) -> float:
        """The median of the readings."""
        return median(self.readings)


class _Heap:
    """Blocks of 16 bytes to 32 KiB, always the same: 300 are allocated at each stir, and half of them freed."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._state = 1

    def stir(self) -> None:
        self._kept += [bytes(self._size()) for _ in range(300)][::2]

    def _size(self) -> int:
        power: int = 16 << self._next() % 11
        return power + power * (self._next() % 16) // 16

    def _next(self) -> int:
        """Return the next of a linear congruential generator (ANSI C's); `random` would be the benchmark's to seed."""
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return self._state >> 8
