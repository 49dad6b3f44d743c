"""What a scrape costs, from the registry to the bytes: of counters with two tags, and of histograms with 12 bounds.

Numbers of 17 digits take the longest to write. promrs, in Rust, is measured where it is installed.
"""

from importlib.util import find_spec

import prometheus_client as pc

import tallymark as tm
from tallymark.bench import parametrize
from tallymark.export.protobuf import render_protobuf

CLIENTS = ("tallymark", "prometheus_client", *(["promrs"] if find_spec("promrs") else []))
NUMBERS = {"integers": lambda i: float(i * 7 % 5000), "17_digits": lambda i: 1000 / (i + 3)}
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0)


def labels(i):
    return {"method": "GET" if i % 2 else "POST", "route": f"/users/{i}"}


def tallymark(series, number, render=tm.render_prometheus):
    registry = tm.Registry(limits=tm.TagLimits(max_series=series + 1))
    counter = registry.counter("http_requests", description="Requests.")
    for i in range(series):
        counter.inc(number(i), **labels(i))
    return lambda: render(registry.snapshot())


def alike(client, series, number):
    registry = client.CollectorRegistry()
    counter = client.Counter("http_requests", "Requests.", ["method", "route"], registry=registry)
    for i in range(series):
        counter.labels(**labels(i)).inc(number(i))
    return lambda: client.generate_latest(registry)


def scrape_of(client, series, number):
    if client == "tallymark":
        return tallymark(series, number)
    if client == "promrs":
        import promrs

        return alike(promrs, series, number)
    return alike(pc, series, number)


@parametrize(client=CLIENTS, numbers=tuple(NUMBERS), series=(1_000, 100_000))
def bench_counters(b, client, numbers, series):
    scrape = scrape_of(client, series, NUMBERS[numbers])
    for _ in b.loop():
        scrape()


@parametrize(numbers=tuple(NUMBERS), series=(1_000, 100_000))
def bench_protobuf(b, numbers, series):
    scrape = tallymark(series, NUMBERS[numbers], render_protobuf)
    for _ in b.loop():
        scrape()


@parametrize(series=(1_000, 10_000))
def bench_histograms(b, series):
    registry = tm.Registry(limits=tm.TagLimits(max_series=series + 1))
    histogram = registry.histogram("latency", buckets=BOUNDS)
    for i in range(series):
        histogram.observe(i % 12, **labels(i))
    for _ in b.loop():
        tm.render_prometheus(registry.snapshot())


@parametrize(series=(100_000, 1_000_000))
def bench_many(b, series):
    scrape = tallymark(series, NUMBERS["integers"])
    for _ in b.loop():
        scrape()
