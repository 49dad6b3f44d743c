"""The backend of the demo's service: simulated, with realistic latencies and failures."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from random import Random
from threading import Lock

__all__ = ["WORKLOADS", "Backend", "BackendError", "Workload"]


class BackendError(Exception):
    """The backend failed to answer a call."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How an operation behaves.

    Attributes:
        share: of all requests.
        latency: the median, in seconds.
        spread: of the latency, which is log-normal: its standard deviation as a factor, less 1 (0.5: two of three calls are
            within 1.5 times the median, either way).
        deadline: seconds after which a call is given up.
        failures: share of the calls that fail.
        size: of the response, in bytes, on average.
    """

    share: float
    latency: float
    spread: float
    deadline: float
    failures: float
    size: int


WORKLOADS = {
    "auth": Workload(share=0.3, latency=0.008, spread=0.5, deadline=0.017, failures=0.06, size=300),
    "query": Workload(share=0.3, latency=0.020, spread=0.6, deadline=0.050, failures=0.08, size=12_000),
    "cache": Workload(share=0.4, latency=0.002, spread=0.4, deadline=0.004, failures=0.04, size=2_000),
}


class Backend:
    """Answers calls late, at times not at all. The n-th call of an operation behaves the same in every run."""

    def __init__(self) -> None:
        self._randoms = {operation: Random(operation) for operation in WORKLOADS}  # noqa: S311 - nothing here is a secret
        self._lock = Lock()

    def call(self, operation: str) -> bytes:
        """Return the response to a call.

        Raises:
            TimeoutError: it took longer than the operation's deadline.
            BackendError: the backend failed.
        """
        workload = WORKLOADS[operation]
        latency, fails, size = self._draw(operation, workload)
        time.sleep(min(latency, workload.deadline))
        if latency > workload.deadline:
            raise TimeoutError(f"{operation} took more than {workload.deadline} s")
        if fails:
            raise BackendError(operation)
        return bytes(size)

    def _draw(self, operation: str, workload: Workload) -> tuple[float, bool, int]:
        random = self._randoms[operation]
        with self._lock:  # the three draws of one call must not mix with another's
            latency = random.lognormvariate(math.log(workload.latency), math.log(1 + workload.spread))
            return latency, random.random() < workload.failures, round(random.expovariate(1 / workload.size))
