"""Passes: the ways to run a benchmark's loop. Each runs in a process of its own, so that none disturbs another.

A pass is a generator of batches: it reads a clock or a counter, yields iterations, and reads again. SciPy and Rich stay out of
these processes: what they import and allocate would be part of what is measured.
"""

from tallymark.bench.measure.passes.counted import AllocationPass, ObjectPass
from tallymark.bench.measure.passes.guard import CheckPass, Guard, median
from tallymark.bench.measure.passes.instructions import InstructionPass
from tallymark.bench.measure.passes.timed import CollectionPass, FirstPass, TimePass

__all__ = [
    "AllocationPass", "CheckPass", "CollectionPass", "FirstPass", "Guard", "InstructionPass", "ObjectPass",
    "TimePass", "median",
]  # fmt: skip
