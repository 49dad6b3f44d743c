"""How much to measure."""

from __future__ import annotations

from dataclasses import dataclass

PASSES = ("allocations", "cold", "state", "objects", "collections", "initialisation", "instructions", "time")


@dataclass(frozen=True)
class Settings:
    """How much to measure of each benchmark; the default takes under 20 seconds, `QUICK` under 3.

    Attributes:
        processes: fresh processes that are timed; one process is one observation in the statistics.
        values: values in each process; a value is the mean time of many ops.
        shortest: least seconds for the ops of one value, all together.
        cold: fresh processes whose first op is timed.
        budget: about how many seconds a pass may take before it is cut short.
        most: seconds of timing, over all processes of a benchmark, after which no new process starts; three always run.
        timeout: seconds after which a process is killed.
        freelists: `hot`, or `cold` to empty CPython's free lists before each op whose allocations are counted.
        instructions: `auto` to count them if the processor has a counter that can be read; `count` to use Valgrind if not;
            `callgrind` to use Valgrind.
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
    instructions: str = "auto"
    passes: tuple[str, ...] = PASSES


QUICK = Settings(processes=3, values=5, shortest=0.002, cold=1, budget=0.15, most=0.6, timeout=30.0)
