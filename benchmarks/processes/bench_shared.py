"""The same records to a registry that processes share, and to one that belongs to a single process."""

import tallymark as tm
from tallymark.bench import parametrize

in_both = parametrize(memory=("private", "shared"))
BOUNDS = [0.001 * 2.5**i for i in range(12)]


def registry(memory):
    return tm.Registry(engine="native", shared=memory == "shared")


@in_both
def bench_inc(b, memory):
    counter = registry(memory).counter("requests")
    for _ in b.loop():
        counter.inc()


@in_both
def bench_inc_two_tags(b, memory):
    counter = registry(memory).counter("requests")
    for _ in b.loop():
        counter.inc(method="GET", status="200")


@in_both
def bench_set(b, memory):
    gauge = registry(memory).gauge("depth", aggregate="sum")
    for _ in b.loop():
        gauge.set(7)


@in_both
def bench_observe(b, memory):
    histogram = registry(memory).histogram("size", buckets=BOUNDS)
    for _ in b.loop():
        histogram.observe(0.7)


@in_both
def bench_observe_exponential(b, memory):
    histogram = registry(memory).histogram("size", exponential=True)
    for value in BOUNDS:
        histogram.observe(value)
    for _ in b.loop():
        histogram.observe(0.7)


@in_both
def bench_create_1000_series(b, memory):
    users = [str(i) for i in range(1000)]
    for _ in b.loop():
        counter = registry(memory).counter("requests")
        for user in users:
            counter.inc(method="GET", user=user)
