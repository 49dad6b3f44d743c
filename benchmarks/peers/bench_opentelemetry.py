"""OpenTelemetry's SDK, with a reader: without one it records nothing. Attributes are made once, which is in its favour."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

TAGS = {"method": "GET", "status": "200"}


def meter():
    provider = MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False)
    return provider.get_meter("benchmarks")


def bench_inc(b):
    counter = meter().create_counter("requests")
    for _ in b.loop():
        counter.add(1)


def bench_inc_two_tags(b):
    counter = meter().create_counter("requests")
    for _ in b.loop():
        counter.add(1, TAGS)


def bench_with_two_tags_then_inc(b):
    counter = meter().create_counter("requests")
    for _ in b.loop():
        counter.add(1, {"method": "GET", "status": "200"})


def bench_inc_mapping(b):
    counter = meter().create_counter("requests")
    for _ in b.loop():
        counter.add(1, TAGS)


def bench_set(b):
    gauge = meter().create_gauge("depth")
    for _ in b.loop():
        gauge.set(7)


def bench_observe(b):
    histogram = meter().create_histogram("size")
    for _ in b.loop():
        histogram.record(0.7)


def bench_record_operation(b):
    operations, durations = meter().create_counter("operations"), meter().create_histogram("durations")
    tags = {"operation": "auth", "status": "success"}
    for _ in b.loop():
        operations.add(1, tags)
        durations.record(0.012, tags)


def bench_record_error(b):
    errors = meter().create_counter("errors")
    tags = {"operation": "auth", "error_type": "ValueError", "error_category": "user"}
    for _ in b.loop():
        errors.add(1, tags)


def bench_create_1000_series(b):
    users = [str(i) for i in range(1000)]
    for _ in b.loop():
        counter = meter().create_counter("requests")
        for user in users:
            counter.add(1, {"method": "GET", "user": user})
