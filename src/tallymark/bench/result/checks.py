"""What must hold for a run, beyond the types of its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.bench.errors import ResultFileError

if TYPE_CHECKING:
    from tallymark.bench.result.result import RunResult

STATUSES = ("ok", "skipped", "failed")


def check_run(run: RunResult) -> None:
    """Raise ResultFileError, naming the field, if a run cannot have been measured: names alike, times without values."""
    seen: set[str] = set()
    for index, one in enumerate(run.benchmarks):
        where = f"run.benchmarks[{index}]"
        if one.name in seen:
            raise ResultFileError(f"two benchmarks have the name {one.name!r}")
        if one.status not in STATUSES:
            raise ResultFileError(f"{where}.status must be ok, skipped or failed, not {one.status!r}")
        if one.time is not None and not (one.time.processes and all(process.values for process in one.time.processes)):
            raise ResultFileError(f"{where}.time has no values: {one.name!r}")
        seen.add(one.name)
