"""The same operation, benchmarked in three ways: wrongly, rightly, and on a workload that varies."""

import itertools

import tallymark as tm


def bench_incorrect(b):
    registry = tm.Registry()
    for _ in b.loop():
        ops = tm.OperationalMetrics(registry)  # made anew each time: its cache is never used
        ops.record_error("auth", "validation_error", "invalid_token")


def bench_corrected(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_error("auth", "validation_error", "invalid_token")


def bench_varied(b):
    ops = tm.OperationalMetrics(tm.Registry())
    work = itertools.cycle(itertools.product(("auth", "query", "cache"), ("success", "error", "timeout")))
    for _ in b.loop():
        operation, status = next(work)
        ops.record_operation(operation, status, 0.001)
