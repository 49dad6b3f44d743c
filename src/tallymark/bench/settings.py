"""How much to measure."""

from __future__ import annotations

from dataclasses import dataclass

PASSES = ("allocations", "cold", "state", "objects", "collections", "initialisation", "instructions", "time")


@dataclass(frozen=True)
class Settings:
    """How much to measure of each benchmark; the default takes under 6 seconds, `QUICK` under 3, on a machine that is idle.

    A benchmark whose op takes long takes longer: it is told, and never cut short below what a comparison needs.

    Attributes:
        processes: fresh processes that are timed; one process is one observation in the statistics. A comparison takes more if
            it needs them.
        values: values in each process; a value is the mean time of many ops.
        shortest: least seconds for the ops of one value, all together.
        cold: fresh processes whose first op is timed.
        budget: about how many seconds a pass may take before it is cut short.
        most: seconds of timing, over all processes of a benchmark, after which no new process starts, but for the least that
            a comparison needs, or three.
        timeout: seconds after which a process that does not answer is killed.
        freelists: `hot`, or `cold` to empty CPython's free lists before each op whose allocations are counted.
        instructions: `auto` to count them if the processor has a counter that can be read; `count` to use Valgrind if not;
            `callgrind` to use Valgrind.
        passes: what to measure.
        looks: in results: after how many processes of each side the comparison looked whether it needs more.
    """

    processes: int = 10
    values: int = 40
    shortest: float = 0.002
    cold: int = 5
    budget: float = 1.0
    most: float = 9.0
    timeout: float = 60.0
    freelists: str = "hot"
    instructions: str = "auto"
    passes: tuple[str, ...] = PASSES
    looks: tuple[int, ...] = ()


QUICK = Settings(values=20, shortest=0.001, cold=1, budget=0.15, most=1.5, timeout=30.0)
