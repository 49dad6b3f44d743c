"""How much to measure."""

from __future__ import annotations

from dataclasses import dataclass

PASSES = ("allocations", "cold", "state", "objects", "collections", "initialisation", "time")


@dataclass(frozen=True)
class Settings:
    """How much to measure of each benchmark; the default takes under 20 seconds, `QUICK` under 3.

    Attributes:
        processes: fresh processes whose times are taken; the unit of statistics.
        values: values in each.
        shortest: seconds that the operations of a value take at least.
        cold: fresh processes whose first operation is timed.
        budget: seconds that a pass may take, about, before it is cut short.
        most: seconds of times, over all processes of a benchmark, after which no further process is begun (but three are).
        timeout: seconds after which a process is killed.
        freelists: `hot`, or `cold` to empty CPython's free lists before each operation whose allocations are counted.
        passes: what to measure.
    """

    processes: int = 10
    values: int = 15
    shortest: float = 0.005
    cold: int = 5
    budget: float = 1.0
    most: float = 9.0
    timeout: float = 60.0
    freelists: str = "hot"
    passes: tuple[str, ...] = PASSES


QUICK = Settings(processes=3, values=5, shortest=0.002, cold=1, budget=0.15, most=0.6, timeout=30.0)
