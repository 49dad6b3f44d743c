"""`Pushgateway` with a real Pushgateway, and a Prometheus that scrapes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_server import job, running_prometheus
from pushgateway_server import PushgatewayServer, running_pushgateway

import tallymark as tm
from tallymark.backends import Pushgateway
from tallymark.client.deadline import Deadline
from tallymark.export import protobuf
from tallymark.report.errors import SendError

pytestmark = [pytest.mark.slow, pytest.mark.server]

GROUPINGS: list[dict[str, str]] = [
    {}, {"path": "/var/tmp"}, {"x": ""}, {"x": "."}, {"x": ".."}, {"x": "a/../b"}, {"x": "a b+%2F?&#é€\\"}, {"x": "\n"},
    {"x": "\x00"}, {"x": "="}, {"x": "%"}, {"x": "…/ü"}, {"x": "x" * 2000}, {"a": "1", "b": "/2"},
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushgatewayServer]:
    with running_pushgateway(tmp_path_factory.mktemp("pushgateway")) as server:
        yield server


@pytest.fixture(params=["text", "protobuf"])
def format(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What reports are written in."""
    monkeypatch.setattr(protobuf, "available", lambda: request.param == "protobuf")
    return str(request.param)


def report(backend: Pushgateway, registry: tm.Registry) -> None:
    try:
        backend.send(list(backend.encode(backend.select(registry.snapshot()), 0.0)), Deadline(5, time.monotonic))
    finally:
        backend.close()


def of_job(server: PushgatewayServer, name: str) -> dict[Any, float]:
    """Return what a scrape gives of a job's metrics, without the two labels that the server adds."""
    return {
        (metric, labels - {("job", name), ("instance", "")}): value
        for (metric, labels), value in server.samples().items()
        if ("job", name) in labels and not metric.startswith("push_")
    }


def as_go(key: Any) -> Any:
    """Return a name and labels with bounds of buckets as Go writes them: `1`, where Python writes `1.0`."""
    name, labels = key
    return name, frozenset([(label, value.removesuffix(".0") if label == "le" else value) for label, value in labels])


def new_job() -> str:
    return f"job-{time.monotonic_ns()}"


@pytest.mark.parametrize("grouping", GROUPINGS, ids=[str(i) for i in range(len(GROUPINGS))])
def test_a_group_may_have_any_values(server: PushgatewayServer, grouping: dict[str, str]) -> None:
    registry = tm.Registry()
    registry.counter("rows").inc(3)
    name = f"{new_job()} /é"
    report(Pushgateway(server.url, job=name, grouping=grouping), registry)
    assert {"job": name, **grouping} in server.groups()
    Pushgateway(server.url, job=name, grouping=grouping).delete()
    server.wait(lambda: {"job": name, **grouping} not in server.groups() or None, "the group is deleted")


def test_what_arrives_is_what_a_scrape_gives(server: PushgatewayServer, registry: tm.Registry, format: str) -> None:
    registry.counter("rows", description='Of "all".').inc(3, table='q"\\\né')
    registry.gauge("ratio").set(0.30000000000000004)
    registry.histogram("size", unit="bytes", buckets=[1, 10]).observe(5, le="mine")
    registry.timer("took").record(0.25)
    registry.info("build", version="1.2")
    registry.state("stage", ["load", "done"]).set("done")
    registry.histogram("spread", exponential=True).observe(3)
    name = new_job()
    report(Pushgateway(server.url, job=name), registry)
    expected = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(tm.render_prometheus(registry.snapshot()).decode())
        for sample in family.samples
    }
    found = of_job(server, name)
    assert {as_go(key): one for key, one in found.items()} == {as_go(key): one for key, one in expected.items()}
    (metric,) = [one for one in server.families()["spread"].metric if name in [label.value for label in one.label]]
    assert list(metric.histogram.positive_delta) == ([1] if format == "protobuf" else [])
    Pushgateway(server.url, job=name).delete()


def test_a_push_replaces_the_group_and_an_add_what_has_the_same_name(server: PushgatewayServer, registry: tm.Registry) -> None:
    other = tm.Registry(self_metrics=False)
    other.counter("others").inc()
    registry.counter("rows").inc(table="a")
    name = new_job()
    push, add = (Pushgateway(server.url, job=name, method=method, exclude=["tallymark*"]) for method in ("push", "add"))
    report(push, registry)
    report(add, other)
    assert {key for key, _ in of_job(server, name)} == {"rows_total", "others_total"}
    registry.counter("rows").inc(2, table="b")
    registry.counter("rows").with_tags(table="a").remove()
    report(add, registry)
    assert of_job(server, name) == {("rows_total", frozenset({("table", "b")})): 2.0, ("others_total", frozenset()): 1.0}
    report(push, registry)
    assert {key for key, _ in of_job(server, name)} == {"rows_total"}


def test_labels_of_the_group_win_and_series_that_become_one_are_an_error_in_the_servers_words(
    server: PushgatewayServer, registry: tm.Registry, format: str
) -> None:
    registry.counter("rows").inc(job="mine", instance="i")
    name = new_job()
    report(Pushgateway(server.url, job=name, grouping={"instance": "g"}), registry)
    assert ("rows_total", frozenset({("instance", "g")})) in of_job(server, name)
    registry.counter("rows").inc(job="yours", instance="i")
    with pytest.raises(SendError, match="400: pushed metrics are invalid or inconsistent") as caught:
        report(Pushgateway(server.url, job=name, grouping={"instance": "g"}), registry)
    assert not caught.value.again


def test_a_batch_job_learns_whether_its_report_arrived(server: PushgatewayServer) -> None:
    registry, name = tm.Registry(), new_job()
    rows = registry.counter("rows")
    rows.inc(2, job="a")
    tm.report_once(Pushgateway(server.url, job=name), registry)
    assert of_job(server, name)["rows_total", frozenset()] == 2.0
    rows.inc(job="b")
    with pytest.raises(tm.ReportError, match="pushed metrics are invalid or inconsistent"):
        tm.report_once(Pushgateway(server.url, job=name), registry)


def test_what_a_job_left_is_there_after_the_server_was_killed(server: PushgatewayServer, registry: tm.Registry) -> None:
    rows = registry.counter("rows")
    rows.inc(3)
    name = new_job()
    backend = Pushgateway(server.url, job=name)
    report(backend, registry)
    server.wait(lambda: (server.folder / "groups").exists() or None, "the group is in its file")
    server.kill()
    rows.inc(4)
    with pytest.raises(SendError) as caught:
        report(backend, registry)
    assert caught.value.again
    server.start()
    report(backend, registry)
    assert of_job(server, name)["rows_total", frozenset()] == 7.0


def test_prometheus_has_the_native_histograms_of_a_job(server: PushgatewayServer, prometheus: str, tmp_path: Path) -> None:
    registry = tm.Registry()
    spread = registry.histogram("spread", exponential=True)
    for value in range(1, 101):
        spread.observe(value)
    name = new_job()
    report(Pushgateway(server.url, job=name), registry)
    scrape = job("push", int(server.url.rpartition(":")[2]), honor_labels=True)
    with running_prometheus(prometheus, tmp_path, [scrape], interval="100ms") as prom:
        found = prom.values(f'histogram_quantile(0.5, spread{{job="{name}"}})', "job")
    assert found[(name,)] == pytest.approx(50, rel=0.02)
