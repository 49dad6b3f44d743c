"""aioprometheus: labels are a dict at every record."""

from aioprometheus import Counter, Gauge, Histogram, Registry, render

from tallymark.bench import parametrize

NONE: dict[str, str] = {}
BOUNDS = [*(0.001 * 2.5**i for i in range(12)), float("inf")]
TEXT = ["text/plain"]


def bench_inc(b):
    counter = Counter("requests", "Requests.", registry=Registry())
    for _ in b.loop():
        counter.inc(NONE)


def bench_inc_two_tags(b):
    counter = Counter("requests", "Requests.", registry=Registry())
    for _ in b.loop():
        counter.inc({"method": "GET", "status": "200"})


def bench_with_two_tags_then_inc(b):
    counter = Counter("requests", "Requests.", registry=Registry())
    for _ in b.loop():
        counter.inc({"method": "GET", "status": "200"})


def bench_inc_mapping(b):
    counter = Counter("requests", "Requests.", registry=Registry())
    tags = {"method": "GET", "status": "200"}
    for _ in b.loop():
        counter.inc(tags)


def bench_set(b):
    gauge = Gauge("depth", "Depth.", registry=Registry())
    for _ in b.loop():
        gauge.set(NONE, 7)


def bench_observe(b):
    histogram = Histogram("size", "Size.", registry=Registry(), buckets=BOUNDS)
    for _ in b.loop():
        histogram.observe(NONE, 0.7)


def bench_create_1000_series(b):
    users = [str(i) for i in range(1000)]
    for _ in b.loop():
        counter = Counter("requests", "Requests.", registry=Registry())
        for user in users:
            counter.inc({"method": "GET", "user": user})


@parametrize(series=(100, 10_000, 100_000))
def bench_render(b, series):
    registry = Registry()
    counter = Counter("requests", "Requests.", registry=registry)
    for user in range(series):
        counter.inc({"method": "GET", "user": str(user)})
    for _ in b.loop():
        render(registry, TEXT)
