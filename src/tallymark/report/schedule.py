"""`Schedule`: the moments at which a reporter is due."""

from __future__ import annotations

import math

from tallymark.report.backoff import random

__all__ = ["Schedule", "new_phase"]

_LONGEST_PHASE = 86_400


def new_phase() -> float:
    """Return the phase of a process, in seconds: random, so that many processes do not report at the same moments."""
    return random() * _LONGEST_PHASE


class Schedule:
    """Moments that are `every` seconds apart, on a clock that never steps.

    They depend on the clock and the phase alone. So reporters of one process with the same interval are due together, and share
    a snapshot; and where moments were missed, as the process was stopped, they are not made up for.
    """

    def __init__(self, every: float, phase: float) -> None:
        self.every = every
        self._phase = phase % every

    def after(self, now: float) -> float:
        """Return the first moment after `now`."""
        moment = (math.floor((now - self._phase) / self.every) + 1) * self.every + self._phase
        return moment if moment > now else moment + self.every  # floats are rounded
