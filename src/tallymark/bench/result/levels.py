"""The fast level of a machine whose speed flips, as that of shared machines does: by 1.5 or 2 times, for seconds at a time.

A process that met the slow level tells about the machine, not about the code. Its share differs from run to run, and the
median of all processes jumps with it. The fast level stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

QUANTILE = 0.1
GAP = 1.25  # processes that differ by less are of one level
LEAST = 3  # fewer are chance


def low(values: Sequence[float]) -> float:
    """Return a process's figure at its fast level: a tenth of its values are smaller."""
    return sorted(values)[int(len(values) * QUANTILE)]


def fast_level(figures: Sequence[float]) -> list[float]:
    """Return the figures below the lowest gap that has three or more below it; all if there is no gap. Their order is kept."""
    ordered = sorted(figures)
    for below in range(LEAST, len(ordered)):
        if 0 < ordered[below - 1] * GAP < ordered[below]:
            return [one for one in figures if one < ordered[below]]
    return list(figures)
