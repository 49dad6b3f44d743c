"""Zero allocations per record of the operational layer, on the native engine: exact, at CPython's allocators."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

import tallymark as tm
from tallymark.bench.allocations import allocations_per_op
from tallymark.operational import OperationalMetrics

registry = tm.Registry(engine="native", limits=tm.TagLimits(max_series=10_000))
ops = OperationalMetrics(registry)
OPERATIONS = ("auth", "query", "cache")
STATUSES = ("success", "error", "timeout")

RECORDS: dict[str, Callable[[], object]] = {
    "record_operation": lambda: ops.record_operation("auth", "success", 0.012),
    "record_operation, whole seconds": lambda: ops.record_operation("auth", "success", 1),
    "record_operation with context": lambda: ops.record_operation("auth", "success", 0.012, region="eu", tier="gold"),
    "record_error": lambda: ops.record_error("auth", "InvalidToken", "client"),
    "record_error without category": lambda: ops.record_error("auth", "InvalidToken"),
    "record_error with context": lambda: ops.record_error("auth", "InvalidToken", "client", region="eu", tier="gold"),
    "record_error without category, with context": lambda: ops.record_error("auth", "InvalidToken", region="eu"),
    "record_event": lambda: ops.record_event("security", "login_refused"),
    "record_event with context": lambda: ops.record_event("security", "login_refused", region="eu"),
}


def nothing(operation: str, status: str, duration: float, /) -> None:
    pass


def looped(record: Callable[[], object]) -> Callable[[Iterable[None]], None]:
    """Return a function that makes a record once for each item that it is given."""

    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            record()

    return loop


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_allocates_nothing(record: str) -> None:
    assert allocations_per_op(looped(RECORDS[record])) == (0, 0)


def test_records_under_many_tags_allocate_nothing() -> None:
    pairs = [(operation, status) for operation in OPERATIONS for status in STATUSES]

    def empty(iterations: Iterable[None]) -> None:
        for _ in iterations:
            for operation, status in pairs:
                nothing(operation, status, 0.001)

    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            for operation, status in pairs:
                ops.record_operation(operation, status, 0.001)
                ops.record_error(operation, status)

    assert allocations_per_op(loop) == allocations_per_op(empty)


@pytest.mark.parametrize("method", ["record_operation", "record_error", "record_event"])
def test_the_first_use_of_tags_allocates(method: str) -> None:
    names = [f"{method} {i}" for i in range(1_000)]
    new, record = iter(names), getattr(ops, method)
    duration = (0.001,) if method == "record_operation" else ()

    def loop(iterations: Iterable[None]) -> None:
        for _ in iterations:
            record(next(new), "x", *duration)

    assert allocations_per_op(loop, n=40).allocs > 0
