"""The same benchmarks, cold: each op first makes its own registry or cache, which a service makes once.

These benchmarks measure initialisation on purpose. Each gets a warning about it, unless a run leaves that pass out.
"""

import tallymark as tm

TAGS = {"service": "api", "method": "GET"}


def bench_counter_with(b):
    for _ in b.loop():
        tm.Registry().counter("requests", tags={"service": "api"}).with_tags(method="GET", status="200")


def bench_gauge_with(b):
    for _ in b.loop():
        tm.Registry().gauge("depth", tags={"service": "api"}).with_tags(method="GET", status="200")


def bench_histogram_with(b):
    for _ in b.loop():
        tm.Registry().histogram("size", tags={"service": "api"}).with_tags(method="GET", status="200")


def bench_timer_with(b):
    for _ in b.loop():
        tm.Registry().timer("duration", tags={"service": "api"}).with_tags(method="GET", status="200")


def bench_counter_tags(b):
    for _ in b.loop():
        tm.Registry().counter("requests", tags=TAGS).tags


def bench_gauge_tags(b):
    for _ in b.loop():
        tm.Registry().gauge("depth", tags=TAGS).tags


def bench_histogram_tags(b):
    for _ in b.loop():
        tm.Registry().histogram("size", tags=TAGS).tags


def bench_timer_tags(b):
    for _ in b.loop():
        tm.Registry().timer("duration", tags=TAGS).tags


def bench_chained_with(b):
    for _ in b.loop():
        counter = tm.Registry().counter("requests")
        counter.with_tags(service="api").with_tags(method="POST").with_tags(status="200").inc()


def bench_inc(b):
    for _ in b.loop():
        tm.Registry().counter("requests").inc()


def bench_observe(b):
    for _ in b.loop():
        tm.Registry().histogram("size").observe(0.7)


def bench_record_error(b):
    registry = tm.Registry()
    for _ in b.loop():
        tm.OperationalMetrics(registry).record_error("auth", "validation_error", "invalid_token")


def bench_record_operation(b):
    registry = tm.Registry()
    for _ in b.loop():
        tm.OperationalMetrics(registry).record_operation("auth", "success", 0.001)


def bench_record_with_context(b):
    registry = tm.Registry()
    for _ in b.loop():
        ops = tm.OperationalMetrics(registry)
        ops.record_operation("auth", "success", 0.001, provider="password", tenant="acme", region="eu")


def bench_high_frequency_operations(b):
    registry = tm.Registry()
    for _ in b.loop():
        ops = tm.OperationalMetrics(registry)
        for operation, status in (("auth", "success"), ("query", "error"), ("cache", "timeout")):
            ops.record_operation(operation, status, 0.001)
