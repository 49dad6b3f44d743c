"""Where an op is, at many moments: its time by line, without tracing."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from types import CodeType

from tallymark.bench.measure.passes.guard import Batch, Guard, clock, repeat
from tallymark.bench.stacks import sampled, sampling

__all__ = ["Line", "SamplePass"]

#: Seconds between two samples. Not a round number, so that no op goes on in step with it.
INTERVAL = 0.000_997

Line = tuple[str, str, int, int]  # file, function, its first line, line


class SamplePass:
    """Samples of the stack of an op in steady state, by a timer that interrupts it. No hook is installed.

    Attributes:
        stacks: how many samples had a stack, of lines from the outermost.
        lost: how many could not be read.
        seconds: of an op, while it is sampled.
        problem: why there are no samples, if so.
    """

    def __init__(self, budget: float) -> None:
        self._budget = budget
        self.guard = Guard()
        self.stacks: Counter[tuple[Line, ...]] = Counter()
        self.lost = 0
        self.seconds = 0.0
        self.problem = ""

    def batches(self) -> Batch:
        yield from self.guard.first()
        began, took, n = clock(), 0.0, 1
        while took < 0.02 and clock() - began < self._budget / 4:
            start = clock()
            yield repeat(n)
            took = clock() - start
            n = max(1, min(n * 10, int(n * 0.05 / max(took, 1e-9))))
        ops = 0
        try:
            sampling(INTERVAL)
        except OSError as error:  # a limit (`ulimit -i`), or a sandbox
            self.problem = f"no timer can be had: {error.strerror}"
            return
        try:
            start = clock()
            while not ops or clock() - start < self._budget:
                yield repeat(n)
                ops += n
            self.seconds = (clock() - start) / ops
        finally:  # the op may raise, or leave its loop
            samples = self._sampled()
        self._resolve(samples)
        self.guard.look()

    def _sampled(self) -> list[tuple[tuple[int, int], ...]]:
        try:
            samples, self.lost = sampled()
        except RuntimeError as error:
            self.problem = str(error)
            return []
        return samples

    def _resolve(self, samples: list[tuple[tuple[int, int], ...]]) -> None:
        """Name the lines, while the code is still there. A call whose code is gone (of `exec`) is left to its caller."""
        found = _living()
        lines: dict[tuple[int, int], Line | None] = {}
        for sample, count in Counter(samples).items():
            stack = []
            for call in reversed(sample):
                if call not in lines:
                    lines[call] = _line(found.get(call[0]), call[1])
                line = lines[call]
                if line is not None:
                    stack.append(line)
            self.stacks[tuple(stack)] += count


def _living() -> dict[int, CodeType]:
    """Return all code that exists, by its id: that of functions, of what runs, and the code inside these."""
    found: dict[int, CodeType] = {}
    referred = (one for owner in gc.get_objects() for one in gc.get_referents(owner) if isinstance(one, CodeType))
    waiting = [*referred, *_running()]
    while waiting:
        code = waiting.pop()
        if id(code) not in found:
            found[id(code)] = code
            waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
    return found


def _running() -> Iterator[CodeType]:
    frame = sys._getframe()
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back  # type: ignore[assignment]


def _line(code: CodeType | None, at: int) -> Line | None:
    """Return the line of a code unit; that of the function where it has none, as before its first instruction."""
    if code is None:
        return None
    lines = [position[0] for position in code.co_positions()]
    if at >= len(lines):
        return None
    return code.co_filename, code.co_qualname, code.co_firstlineno, (lines[at] if at >= 0 else None) or code.co_firstlineno
