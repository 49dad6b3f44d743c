"""Finds benchmarks that measure initialisation: their op makes anew what a service makes once.

The costs of ops in a row do not show it, as each op pays the same. So all statements of an op are run, and then the last ones
again, on the same objects (suffix-repeat). A statement that is much cheaper when repeated has paid for the first use of an
object that the op made, unless the repeat had less to do. Its results show whether it had.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from tallymark.bench import allocations
from tallymark.bench.measure.rewrite import Rewritten, rewrite
from tallymark.bench.result.result import Finding

WARMUP, TIMES = 16, 5
BUDGET = 1.0  # seconds
RATIO, LEAST = 1.5, 4
SHARE, DEAR = 0.9, 10


def find_initialisation(function: Callable[..., Any], params: dict[str, Any]) -> list[Finding]:
    """Return a warning if a benchmark measures initialisation; none if it does not, or if that is unknown."""
    rewritten = None if allocations.available() else rewrite(function)
    if rewritten is None or len(rewritten.steps) < 2:
        return []
    plan = _Plan(rewritten)
    collecting = gc.isenabled()
    gc.disable()
    try:
        with allocations.counting():
            rewritten.run(plan, params)
    except (Exception, SystemExit):
        return []  # an earlier pass has reported the error, or the op was never meant to be repeated
    finally:
        if collecting:
            gc.enable()
    return plan.findings(function)


@dataclass
class _Cost:
    """Allocations of each step from one on, the first time and when repeated: the least of some readings."""

    first: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    same: bool = True  # the repeat had as much to do: its results are of the same type and length


class _Plan:
    """Decides, op by op, from which step on to run the op."""

    def __init__(self, rewritten: Rewritten) -> None:
        self.steps = rewritten.steps
        self.fresh: set[str] = set()
        self.whole: list[int] = []
        self.costs: dict[int, _Cost] = {}
        self.failed = False

    def __iter__(self) -> Iterator[int]:
        began = time.perf_counter()
        for _ in range(WARMUP):
            yield 0
            if time.perf_counter() - began > BUDGET / 2:
                return
        frame = sys._getframe(1)
        before = dict(frame.f_locals)
        yield 0
        self.fresh = {name for name, value in frame.f_locals.items() if value is not before.get(name) and _is_stateful(value)}
        del before
        for start in range(1, len(self.steps)):
            cost = self.costs[start] = _Cost()
            for _ in range(TIMES):
                yield 0
                self.whole = _least(self.whole, self._read(0))
                first, results = self._read(start), _results(self.steps, start, frame)
                yield start
                if self.failed:
                    self.failed = False
                    del self.costs[start]
                    break
                cost.first = _least(cost.first, first)
                cost.again = _least(cost.again, self._read(start))
                cost.same &= results == _results(self.steps, start, frame)
                if time.perf_counter() - began > BUDGET:
                    return

    def _read(self, start: int) -> list[int]:
        return [allocations.counts_between(i, i + 1).allocs for i in range(start, len(self.steps))]

    def findings(self, function: Callable[..., Any]) -> list[Finding]:
        """Return a warning about the step that a repeat makes cheapest, or about a step that only makes an object; or none."""
        found = max((one for one in range(1, len(self.steps)) if self._is_first_use(one)), key=self._saved, default=None)
        if found is None:
            return [self._of_making(one) for one in range(len(self.steps) - 1) if self._only_makes(one)][:1]
        step, cost = self.steps[found], self.costs[self._after_making(found)]
        first, again = (side[found - self._after_making(found)] for side in (cost.first, cost.again))
        makers = self._makers(found)
        where = "; ".join(dict.fromkeys(self.steps[one].text for one in makers))
        return [
            Finding(
                "measures-initialisation",
                f"measures initialisation: `{step.text}` costs {first} allocations the first time and {again} when repeated",
                step.line,
                step.text,
                f"Move `{where}` above b.loop().",
            )
        ]

    def _only_makes(self, index: int) -> bool:
        """Return True if a step makes an object that later steps use, at nearly the whole cost of the op."""
        made = self.steps[index].stores & self.fresh
        used = any(made & step.loads for step in self.steps[index + 1 :])
        cost = self.whole[index] if self.whole else 0
        return used and cost >= DEAR and cost >= SHARE * sum(self.whole)

    def _of_making(self, index: int) -> Finding:
        step, cost = self.steps[index], self.whole[index]
        return Finding(
            "measures-initialisation",
            f"measures initialisation: `{step.text}` costs {cost} of the op's {sum(self.whole)} allocations",
            step.line,
            step.text,
            f"Move `{step.text}` above b.loop(), if a service makes it once.",
        )

    def _saved(self, index: int) -> int:
        start = self._after_making(index)
        cost = self.costs[start]
        return cost.first[index - start] - cost.again[index - start]

    def _after_making(self, index: int) -> int:
        """Return the step right after the last that made an object which this one uses."""
        return 1 + max(one for one in range(index) if self.steps[one].stores & self.steps[index].loads & self.fresh)

    def _is_first_use(self, index: int) -> bool:
        if not any(self.steps[one].stores & self.steps[index].loads & self.fresh for one in range(index)):
            return False
        start = self._after_making(index)
        cost = self.costs.get(start)
        if cost is None or not cost.first or not cost.same:
            return False
        first, again = cost.first[index - start], cost.again[index - start]
        return first - again >= LEAST and first >= RATIO * again and sum(cost.first) >= RATIO * sum(cost.again)

    def _makers(self, index: int) -> list[int]:
        """Return the steps that made what a step uses, and what these use in turn."""
        needed, makers = set(self.steps[index].loads), []
        for one in reversed(range(index)):
            if self.steps[one].stores & needed:
                makers.append(one)
                needed |= self.steps[one].loads
        return makers[::-1]


_DATA = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, deque, BaseException)


def _is_stateful(value: Any) -> bool:
    """Return True if a value may set itself up on first use: it is neither data, nor an iterator, which is used up instead."""
    if type(value).__module__ == "builtins" or isinstance(value, (type, FunctionType, ModuleType, *_DATA)):
        return False
    return not hasattr(type(value), "__next__")


def _least(known: list[int], read: list[int]) -> list[int]:
    return [min(pair) for pair in zip(known, read, strict=True)] if known else read


def _results(steps: Any, start: int, frame: Any) -> list[tuple[str, type, int | None]]:
    """Return what steps stored, to compare the work of a repeat: if its input was used up, a result is shorter, or None."""
    names = sorted(set().union(*(step.stores for step in steps[start:])))
    values = frame.f_locals
    return [(name, type(values.get(name)), _length(values.get(name))) for name in names]


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list | tuple | dict | set | str | bytes) else None
