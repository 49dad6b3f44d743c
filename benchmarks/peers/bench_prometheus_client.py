"""prometheus_client, called in the way that costs least: label values by position, in the order declared."""

import prometheus_client as pc

from tallymark.bench import parametrize

BOUNDS = [0.001 * 2.5**i for i in range(12)]


def requests(registry=None):
    return pc.Counter("requests", "Requests.", ["method", "status"], registry=registry or pc.CollectorRegistry())


def operational(registry):
    labels = ["operation", "status"]
    operations = pc.Counter("operations", "Operations.", labels, registry=registry)
    return operations, pc.Histogram("durations", "Durations.", labels, registry=registry)


def bench_inc(b):
    counter = pc.Counter("requests", "Requests.", registry=pc.CollectorRegistry())
    for _ in b.loop():
        counter.inc()


def bench_inc_two_tags(b):
    counter = requests()
    for _ in b.loop():
        counter.labels("GET", "200").inc()


def bench_with_two_tags_then_inc(b):
    counter = requests()
    for _ in b.loop():
        counter.labels("GET", "200").inc()


def bench_inc_mapping(b):
    counter = requests()
    tags = {"method": "GET", "status": "200"}
    for _ in b.loop():
        counter.labels(**tags).inc()


def bench_set(b):
    gauge = pc.Gauge("depth", "Depth.", registry=pc.CollectorRegistry())
    for _ in b.loop():
        gauge.set(7)


def bench_observe(b):
    histogram = pc.Histogram("size", "Size.", buckets=BOUNDS, registry=pc.CollectorRegistry())
    for _ in b.loop():
        histogram.observe(0.7)


def bench_with_timer(b):
    timer = pc.Histogram("duration", "Duration.", registry=pc.CollectorRegistry())
    for _ in b.loop():
        with timer.time():
            pass


def bench_with_timer_one_tag(b):
    timer = pc.Histogram("duration", "Duration.", ["route"], registry=pc.CollectorRegistry())
    for _ in b.loop():
        with timer.labels("/").time():
            pass


def bench_timed_function(b):
    @pc.Histogram("duration", "Duration.", registry=pc.CollectorRegistry()).time()
    def timed():
        pass

    for _ in b.loop():
        timed()


def bench_record_operation(b):
    operations, durations = operational(pc.CollectorRegistry())
    for _ in b.loop():
        operations.labels("auth", "success").inc()
        durations.labels("auth", "success").observe(0.012)


def bench_record_error(b):
    labels = ["operation", "error_type", "error_category"]
    errors = pc.Counter("errors", "Errors.", labels, registry=pc.CollectorRegistry())
    for _ in b.loop():
        errors.labels("auth", "ValueError", "user").inc()


def bench_first_operation(b):
    for _ in b.loop():
        operations, durations = operational(pc.CollectorRegistry())
        operations.labels("auth", "success").inc()
        durations.labels("auth", "success").observe(0.012)


def bench_create_1000_series(b):
    users = [str(i) for i in range(1000)]
    for _ in b.loop():
        counter = requests()
        for user in users:
            counter.labels("GET", user).inc()


@parametrize(series=(100, 10_000, 100_000))
def bench_render(b, series):
    registry = pc.CollectorRegistry()
    counter = requests(registry)
    for user in range(series):
        counter.labels("GET", str(user)).inc()
    for _ in b.loop():
        pc.generate_latest(registry)
