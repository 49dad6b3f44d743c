"""What a registry of ours holds, at the endpoints of prometheus_client: as at ours."""

from __future__ import annotations

import asyncio
import logging
import threading
import urllib.request
from typing import Any

import prometheus_client as theirs
import pytest
from parsed_pages import openmetrics, prometheus
from prometheus_client.core import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

import tallymark as tm


@pytest.fixture
def other(registry: tm.Registry) -> Any:
    """A registry of theirs that shows nothing but ours."""
    other = CollectorRegistry(auto_describe=True)
    other.register(tm.bridges.to_prometheus_client(registry))
    return other


def fill(registry: tm.Registry) -> None:
    """Use all that we have."""
    requests = registry.counter("http.requests", description="Requests\n\\ served.", tags={"method": "GET"})
    requests.inc(3, exemplar={"trace_id": "4f"})
    registry.counter("http.requests").inc(0.5, method='P"O\\S\nT')
    registry.counter("sent", unit="bytes").inc(1e18)
    registry.gauge("depth").set(-7, queue="a", none="")
    registry.histogram("size", unit="bytes", buckets=(0, 1, 2.5e6)).observe(7, exemplar={"trace_id": "5a"}, route="/")
    registry.histogram("balance", buckets=(-1, 1)).observe(-7)
    registry.histogram("shape", exponential=True).observe(7, exemplar={"trace_id": "5a"})
    registry.timer("took").record(0.3)
    registry.info("build", version="1.2")
    registry.state("worker", ["on", "off"], tags={"who": "me"}).set("off")
    registry.counter("alike").inc(1, **{"a.b": "1"})
    registry.counter("alike").inc(2, a_b="1")
    registry.gauge("alike_now").set(2, **{"a.b": "1", "a_b": "2"})
    registry.histogram("edges", buckets=(1,)).observe(0.5, le="x")
    registry.register(Quantiles())


class Quantiles:
    def collect(self) -> list[tm.FamilySnapshot]:
        data = tm.SummaryData((tm.TagSet(a="b"),), (5.0,), (2,), (1.5,), (((0.5, 0.7),),))
        plain = tm.family("summary", "plain", [({"quantile": "x"}, (1, 2))])
        return [tm.FamilySnapshot("told", "summary", "", "seconds", data), plain]


def test_all_that_we_have_is_shown_as_we_show_it(registry: tm.Registry, other: Any) -> None:
    fill(registry)
    snapshot = registry.snapshot()
    assert openmetrics(generate_openmetrics(other)) == openmetrics(tm.render_openmetrics(snapshot))
    own = prometheus(tm.render_prometheus(snapshot))
    found = prometheus(theirs.generate_latest(other))
    assert found.pop("worker")[3][("worker", frozenset({("worker", "off"), ("who", "me")}))] == (1.0, None)  # as in OpenMetrics
    del own["worker"], own["balance"], found["balance"]  # they show no sum of what may be below 0 in this format either
    assert found == own


def test_times_of_creation_are_told_where_that_is_asked_for(registry: tm.Registry) -> None:
    fill(registry)
    other = CollectorRegistry()
    other.register(tm.bridges.to_prometheus_client(registry, created=True))
    assert openmetrics(generate_openmetrics(other)) == openmetrics(tm.render_openmetrics(registry.snapshot(), created=True))


def test_a_name_that_is_taken_in_openmetrics_is_shown_as_we_show_it(registry: tm.Registry, other: Any) -> None:
    registry.counter("a").inc(2)
    registry.gauge("a_created").set(1)
    registry.info("b")
    assert openmetrics(generate_openmetrics(other)) == openmetrics(tm.render_openmetrics(registry.snapshot()))


def test_a_name_that_theirs_have_raises_at_once(registry: tm.Registry) -> None:
    other = CollectorRegistry(auto_describe=True)
    theirs.Counter("hits", "", registry=other)
    registry.counter("hits").inc()
    with pytest.raises(ValueError, match="hits_total"):
        other.register(tm.bridges.to_prometheus_client(registry))


def test_metrics_can_be_asked_for_by_name(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    registry.counter("misses").inc()
    other = CollectorRegistry()
    other.register(tm.bridges.to_prometheus_client(registry))
    assert list(prometheus(theirs.generate_latest(other.restricted_registry(["hits_total"])))) == ["hits"]


@pytest.mark.slow
def test_their_server_shows_ours(registry: tm.Registry, other: Any) -> None:
    registry.counter("hits").inc(5, a="b")
    server, thread = theirs.start_http_server(0, addr="127.0.0.1", registry=other)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=10) as answer:
            assert b'hits_total{a="b"} 5.0' in answer.read()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_their_asgi_app_shows_ours(registry: tm.Registry, other: Any) -> None:
    registry.counter("hits").inc(5, a="b")
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(theirs.make_asgi_app(registry=other)(scope, receive, send))
    assert b'hits_total{a="b"} 5.0' in b"".join(message.get("body", b"") for message in sent)


def test_the_current_registry_is_shown(registry: tm.Registry) -> None:
    with tm.use(registry):
        bridge = tm.bridges.to_prometheus_client()
    registry.counter("hits").inc()
    assert [metric.name for metric in bridge.collect()] == ["hits", "tallymark_series"]


def test_what_is_no_registry_raises_at_once() -> None:
    with pytest.raises(TypeError, match="registry must be"):
        tm.bridges.to_prometheus_client(5)  # type: ignore[arg-type]


# In each other


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_registries_that_show_each_other_show_each_metric_once(
    registry: tm.Registry, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = CollectorRegistry(auto_describe=True)
    registry.counter("ours").inc()
    theirs.Counter("theirs", "", registry=other).inc()
    steps = [
        lambda: registry.register(tm.bridges.from_prometheus_client(other)),
        lambda: other.register(tm.bridges.to_prometheus_client(registry)),
    ]
    for step in steps if first == "ours" else reversed(steps):
        done = threading.Thread(target=step, daemon=True)
        done.start()
        done.join(20)
        assert not done.is_alive(), "it waits for a lock that it holds"
    with caplog.at_level(logging.INFO, logger="tallymark"):
        for _ in range(2):
            assert sorted(prometheus(tm.render_prometheus(registry.snapshot()))) == ["ours", "tallymark_series", "theirs"]
            assert sorted(prometheus(theirs.generate_latest(other))) == ["ours", "tallymark_series", "theirs", "theirs_created"]
    assert len([one for one in caplog.records if "show each other" in one.getMessage()]) == 2
    assert "tallymark_rejected" not in registry.snapshot()


def test_a_chain_of_registries_is_followed_to_its_end(engine: Any) -> None:
    first, last = (tm.Registry(engine=engine.name, self_metrics=False) for _ in range(2))
    middle = CollectorRegistry()
    first.register(tm.bridges.from_prometheus_client(middle))
    middle.register(tm.bridges.to_prometheus_client(last))
    last.counter("hits").inc(4)
    assert first.snapshot()["hits_total"].data.values == (4.0,)
    end = CollectorRegistry()
    theirs.Counter("deep", "", registry=end).inc()
    last.register(tm.bridges.from_prometheus_client(end))
    assert [one.name for one in first.snapshot().families] == ["hits_total", "deep_total"]
