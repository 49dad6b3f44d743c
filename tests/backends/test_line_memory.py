"""What a first report of lines takes of memory: little beside its own bytes, as the text of no series is kept."""

from __future__ import annotations

import gc
import io
import tracemalloc
from collections.abc import Callable

import pytest

import tallymark as tm
from tallymark.backends import DogStatsD, Graphite, InfluxDB, JSONLines, Pushgateway, StatsD, TextFile
from tallymark.report.backend import Backend

pytestmark = pytest.mark.slow

SERIES = 20_000
COMMON = {"env": "prod", "zone": "eu-1"}
NOWHERE = "127.0.0.1:1"
LINES: dict[str, Callable[[], Backend]] = {
    "statsd": lambda: StatsD(NOWHERE, dialect="graphite"),
    "statsd-none": lambda: StatsD(NOWHERE),
    "statsd-tags": lambda: StatsD(NOWHERE, dialect="influxdb", tags=COMMON),
    "dogstatsd": lambda: DogStatsD(NOWHERE, tags=COMMON),
    "graphite": lambda: Graphite(NOWHERE),
    "graphite-tags": lambda: Graphite(NOWHERE, tags=COMMON),
    "influxdb": lambda: InfluxDB(f"http://{NOWHERE}", database="x"),
    "influxdb-tags": lambda: InfluxDB(f"http://{NOWHERE}", database="x", tags=COMMON),
    "json": lambda: JSONLines(io.BytesIO(), tags=COMMON),
}


def counted(series: int) -> tm.Registry:
    registry = tm.Registry(engine="native", limits=tm.TagLimits(max_series=SERIES + 1), self_metrics=False)
    counter = registry.counter("http_requests")
    for i in range(series):
        counter.inc(1.5, route=f"/r{i % 100}", user=f"user-{i * 7919}")
    return registry


def warmed(make: Callable[[], Backend]) -> Backend:
    """Return a backend that has reported nothing; what its modules keep once, they have."""
    list(make().encode(counted(2).snapshot(), 0.0))
    return make()


def costs(backend: Backend, registry: tm.Registry) -> tuple[float, float]:
    """Return what making a report takes at its peak, snapshot and all, and what stays of it; both as a share of its bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        parts = list(backend.encode(registry.snapshot(), 0.0))
        size, peak = sum(map(len, parts)), tracemalloc.get_traced_memory()[1]
        del parts
        gc.collect()
        return peak / size, tracemalloc.get_traced_memory()[0] / size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", LINES)
def test_the_first_report_of_lines_takes_little_beside_its_bytes(name: str) -> None:
    backend, registry = warmed(LINES[name]), counted(SERIES)
    for _ in range(2):
        peak, left = costs(backend, registry)
        assert peak <= 1.7
        assert left <= 0.45  # of the snapshot: the numbers, and blocks of tags, which all readers share


def test_the_first_report_to_a_pushgateway_takes_less_than_twice_its_bytes() -> None:
    backend, registry = warmed(lambda: Pushgateway(f"http://{NOWHERE}", job="x")), counted(SERIES)
    assert costs(backend, registry)[0] < 2
    assert costs(backend, registry)[0] < 1.6


PAGES: dict[str, Callable[[], Backend]] = {
    "pushgateway": lambda: Pushgateway(f"http://{NOWHERE}", job="x", tags=COMMON),
    "text_file": lambda: TextFile("never-written.prom", tags=COMMON),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_with_common_tags_takes_less_than_twice_its_bytes_and_keeps_no_series(name: str) -> None:
    backend, registry = warmed(PAGES[name]), counted(SERIES)
    for _ in range(2):
        peak, left = costs(backend, registry)
        assert peak < 2
        assert left <= 0.45


@pytest.mark.parametrize("name", ["graphite", "statsd-tags"])
def test_texts_that_only_python_code_can_write_are_kept_and_dropped(name: str) -> None:
    registry = tm.Registry(engine="native", limits=tm.TagLimits(max_series=SERIES + 1), self_metrics=False)
    counter = registry.counter("n")
    many = [counter.with_tags(user=f"é{i}") for i in range(5000)]
    for one in many:
        one.inc()
    backend = LINES[name]()
    _, left = costs(backend, registry)
    assert left > 1
    for one in many[100:]:
        one.remove()
    for _ in range(2):
        list(backend.encode(registry.snapshot(), 0.0))
    assert costs(backend, registry)[1] < 1
