"""The benchmarks of the Go library's tag-map optimisation plan, with its names: each op in steady state, on warm caches.

The varied workloads are written out, nine or three records in an op, so that no time goes into choosing among them. The figures
are of one record.
"""

import tallymark as tm

BOUNDS = tm.exponential_buckets(0.001, 2.5, 12)


def bench_counter_with(b):
    counter = tm.Registry().counter("requests", tags={"service": "api"})
    for _ in b.loop():
        counter.with_tags(method="GET", status="200")


def bench_gauge_with(b):
    gauge = tm.Registry().gauge("depth", tags={"service": "api"})
    for _ in b.loop():
        gauge.with_tags(method="GET", status="200")


def bench_histogram_with(b):
    histogram = tm.Registry().histogram("size", buckets=BOUNDS, tags={"service": "api"})
    for _ in b.loop():
        histogram.with_tags(method="GET", status="200")


def bench_timer_with(b):
    timer = tm.Registry().timer("duration", tags={"service": "api"})
    for _ in b.loop():
        timer.with_tags(method="GET", status="200")


def bench_counter_tags(b):
    counter = tm.Registry().counter("requests", tags={"service": "api", "method": "GET"})
    for _ in b.loop():
        counter.tags


def bench_gauge_tags(b):
    gauge = tm.Registry().gauge("depth", tags={"service": "api", "method": "GET"})
    for _ in b.loop():
        gauge.tags


def bench_histogram_tags(b):
    histogram = tm.Registry().histogram("size", buckets=BOUNDS, tags={"service": "api", "method": "GET"})
    for _ in b.loop():
        histogram.tags


def bench_timer_tags(b):
    timer = tm.Registry().timer("duration", tags={"service": "api", "method": "GET"})
    for _ in b.loop():
        timer.tags


def bench_chained_with(b):
    counter = tm.Registry().counter("requests")
    for _ in b.loop():
        counter.with_tags(service="api").with_tags(method="POST").with_tags(status="200").inc()


def bench_inc(b):
    counter = tm.Registry().counter("requests")
    for _ in b.loop():
        counter.inc()


def bench_observe(b):
    histogram = tm.Registry().histogram("size", buckets=BOUNDS)
    for _ in b.loop():
        histogram.observe(0.7)


def bench_record_error(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_error("auth", "validation_error", "invalid_token")


def bench_record_error_varied(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_error("auth", "validation_error", "user")
        ops.record_error("auth", "timeout", "user")
        ops.record_error("auth", "refused", "user")
        ops.record_error("query", "validation_error", "user")
        ops.record_error("query", "timeout", "user")
        ops.record_error("query", "refused", "user")
        ops.record_error("cache", "validation_error", "user")
        ops.record_error("cache", "timeout", "user")
        ops.record_error("cache", "refused", "user")


def bench_record_operation(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_operation("auth", "success", 0.001)


def bench_record_operation_varied(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_operation("auth", "success", 0.001)
        ops.record_operation("auth", "error", 0.001)
        ops.record_operation("auth", "timeout", 0.001)
        ops.record_operation("query", "success", 0.001)
        ops.record_operation("query", "error", 0.001)
        ops.record_operation("query", "timeout", 0.001)
        ops.record_operation("cache", "success", 0.001)
        ops.record_operation("cache", "error", 0.001)
        ops.record_operation("cache", "timeout", 0.001)


def bench_record_with_context(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_operation("auth", "success", 0.001, provider="password", tenant="acme", region="eu")


def bench_high_frequency_operations(b):
    ops = tm.OperationalMetrics(tm.Registry())
    for _ in b.loop():
        ops.record_operation("auth", "success", 0.001)
        ops.record_operation("query", "error", 0.001)
        ops.record_operation("cache", "timeout", 0.001)
