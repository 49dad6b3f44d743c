"""`RemoteWrite` with real receivers: Prometheus, and VictoriaMetrics. What they hold is what a scrape would have given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from program import ask
from prometheus_client.parser import text_string_to_metric_families
from remote_write_server import RemoteWriteServer, running_receiver
from victoriametrics_server import VictoriaMetrics, running_victoriametrics

import tallymark as tm
from tallymark.backends import RemoteWrite, TextFile
from tallymark.client.deadline import Deadline
from tallymark.frozen import replace
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError

pytestmark = [pytest.mark.slow, pytest.mark.server]

TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
ODD = 'q"\\\né{};='


@pytest.fixture(scope="module")
def server(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteWriteServer]:
    with running_receiver(prometheus, tmp_path_factory.mktemp("prometheus")) as server:
        yield server


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    with running_victoriametrics(tmp_path_factory.mktemp("victoriametrics")) as server:
        yield server


def new_run() -> str:
    """Return a label that no other test has."""
    return f"run-{time.monotonic_ns()}"


def send(backend: RemoteWrite, waiting: list[list[bytes]]) -> None:
    """Send what waits, in order, as a reporter does. What fails still waits."""
    try:
        while waiting:
            backend.send(waiting[0], Deadline(5, time.monotonic))
            waiting.pop(0)
    finally:
        backend.close()


def report(backend: Backend, snapshot: tm.Snapshot) -> None:
    send(backend, [list(backend.encode(backend.select(snapshot), 0.0))])


def scraped(snapshot: tm.Snapshot, **tags: str) -> dict[Any, float]:
    """Return what a scrape as text gives, by name and labels."""
    return {
        (sample.name, frozenset({**sample.labels, **tags}.items())): sample.value
        for family in text_string_to_metric_families(tm.render_prometheus(snapshot).decode())
        for sample in family.samples
    }


def record(registry: tm.Registry) -> None:
    """Record one of everything."""
    requests = registry.counter("http.requests", description='Requests "served".')
    requests.inc(3, **{"http.route": ODD})
    requests.inc(0.5, Method="GET")
    registry.gauge("queue_depth").set(-2.5)
    registry.gauge("ratio").set(0.30000000000000004)
    size = registry.histogram("size", unit="bytes", buckets=[1, 10])
    for value in (0.5, 5, 5, 1e9):
        size.observe(value, route="/", le="mine")
    registry.timer("took").record(0.25)
    registry.info("build", version="1.2")
    registry.state("worker_state", ["starting", "running"]).set("running")
    spread = registry.histogram("spread", exponential=True)
    for number in range(1, 1001):
        spread.observe(number, side="above")
        spread.observe(-number, side="below")
    spread.observe(0, side="above")


# Prometheus


def test_what_arrives_at_prometheus_is_what_a_scrape_gives(server: RemoteWriteServer, registry: tm.Registry) -> None:
    record(registry)
    run = new_run()
    snapshot = registry.snapshot()
    report(RemoteWrite(server.receiver, tags={"run": run}), snapshot)
    found = server.query(f'{{run="{run}"}}')
    native = {key: one for key, one in found.items() if key[0] == "spread"}
    expected = {key: one for key, one in scraped(snapshot, run=run).items() if not key[0].startswith("spread_")}
    assert {key: one for key, one in found.items() if key not in native} == expected

    assert len(native) == 2
    selector = f'spread{{run="{run}",side="above"}}'
    assert (server.value(f"histogram_count({selector})"), server.value(f"histogram_sum({selector})")) == (1001, 500500)
    assert server.value(f"histogram_quantile(0.5, {selector})") == pytest.approx(500, rel=0.01)
    assert server.value(f'histogram_quantile(0.1, spread{{run="{run}",side="below"}})') == pytest.approx(-900, rel=0.01)


def test_exemplars_arrive_at_prometheus(server: RemoteWriteServer, registry: tm.Registry) -> None:
    run = new_run()
    backend = RemoteWrite(server.receiver, tags={"run": run})
    registry.histogram("spread", exponential=True).observe(1)
    report(backend, registry.snapshot())  # Prometheus 2.42 takes an exemplar of a native histogram only if it knows that
    registry.counter("http.requests").inc(0.5, exemplar=TRACE)
    for value in (0.5, 5, 1e9):
        registry.histogram("size", buckets=[1, 10]).observe(value, exemplar=TRACE)
    registry.histogram("spread", exponential=True).observe(2, exemplar=TRACE)
    report(backend, registry.snapshot())
    exemplars = server.exemplars(f'{{run="{run}"}}')
    values = {(name, dict(labels).get("le")): [value for _, value in one] for (name, labels), one in exemplars.items()}
    assert values == {
        ("http_requests_total", None): [0.5],
        ("size_bucket", "1.0"): [0.5],
        ("size_bucket", "10.0"): [5.0],
        ("size_bucket", "+Inf"): [1e9],
        ("spread", None): [2.0],
    }
    assert all(labels == TRACE for found in exemplars.values() for labels, _ in found)


def test_a_series_that_was_removed_is_gone_at_once(server: RemoteWriteServer, registry: tm.Registry) -> None:
    record(registry)
    run = new_run()
    backend = RemoteWrite(server.receiver, tags={"run": run})
    report(backend, registry.snapshot())
    registry.counter("http.requests").with_tags(Method="GET").remove()
    registry.histogram("size", unit="bytes", buckets=[1, 10]).with_tags(route="/", le="mine").remove()
    registry.histogram("spread", exponential=True).with_tags(side="above").remove()
    snapshot = registry.snapshot()
    report(backend, snapshot)
    found = server.query(f'{{run="{run}"}}')
    expected = {key for key in scraped(snapshot, run=run) if not key[0].startswith("spread_")}
    assert set(found) == expected | {("spread", frozenset({("run", run), ("side", "below")}))}


def test_totals_are_right_after_the_server_was_killed(server: RemoteWriteServer, registry: tm.Registry) -> None:
    requests, took, spread = (
        registry.counter("requests"),
        registry.timer("took", buckets=[1]),
        registry.timer("spread", exponential=True),
    )
    run = new_run()
    backend = RemoteWrite(server.receiver, tags={"run": run})
    waiting: list[list[bytes]] = []
    start, reports = time.time() - 100.0, 0

    def tell() -> None:
        nonlocal reports
        for _ in range(100):
            requests.inc()
            took.record(0.5)
            spread.record(2.0)
        reports += 1
        waiting.append(list(backend.encode(replace(registry.snapshot(), time=start + reports), 0.0)))
        send(backend, waiting)

    tell()
    server.kill()
    for _ in range(3):
        with pytest.raises(SendError) as caught:
            tell()
        assert caught.value.again
    server.start()
    tell()
    assert server.value(f'last_over_time(requests_total{{run="{run}"}}[5m])') == requests.value == 100 * reports
    assert server.value(f'last_over_time(took_seconds_count{{run="{run}"}}[5m])') == 100 * reports
    assert server.value(f'histogram_count(spread_seconds{{run="{run}"}})') == 100 * reports
    assert server.value(f'count_over_time(requests_total{{run="{run}"}}[5m])') == reports  # each of them has arrived


def test_a_reporter_sends_again_what_a_server_that_was_killed_did_not_get(server: RemoteWriteServer) -> None:
    registry, run = tm.Registry(), new_run()
    requests = registry.counter("requests")
    with tm.report_to(RemoteWrite(server.receiver, tags={"run": run}), every=3600, registry=registry) as reporter:
        requests.inc()
        assert reporter.report()
        server.kill()
        for _ in range(3):
            requests.inc()
            assert not reporter.report()
        server.start()
        assert reporter.flush(30)
    assert server.value(f'requests_total{{run="{run}"}}') == requests.value == 4
    assert server.value(f'count_over_time(requests_total{{run="{run}"}}[5m])') == 6  # four, of the flush, and the last one
    assert server.value(f'tallymark_reports_total{{run="{run}",outcome="failure"}}') >= 3


def test_what_is_older_than_what_a_series_has_is_dropped_for_good(server: RemoteWriteServer, registry: tm.Registry) -> None:
    registry.counter("requests").inc()
    backend = RemoteWrite(server.receiver, tags={"run": new_run()})
    snapshot = registry.snapshot()
    report(backend, snapshot)
    report(backend, snapshot)  # what was sent twice does no harm
    with pytest.raises(SendError, match="400: out of order sample") as caught:
        report(backend, replace(snapshot, time=snapshot.time - 1.0))
    assert not caught.value.again


def test_a_prometheus_without_native_histograms_gets_classic_buckets(prometheus: str, tmp_path: Path) -> None:
    registry = tm.Registry()
    registry.histogram("spread", exponential=True).observe(3)
    with running_receiver(prometheus, tmp_path, features=()) as server:
        backend = RemoteWrite(server.receiver)
        with pytest.raises(SendError, match="takes no native histograms") as caught:
            report(backend, registry.snapshot())
        assert not caught.value.again
        report(backend, registry.snapshot())
        assert server.value("spread_count") == 1


KEYS = st.sampled_from(["a", "A", "a.b", "a_b", "_", "__name__", "le", "quantile", "état", "job", "run.", "a-b"])
TEXTS = st.text(max_size=30) | st.sampled_from(["x" * 200, '"}\n# forged', "\x00", "\ud800"])
RECORDS = st.lists(st.tuples(st.dictionaries(KEYS, TEXTS, max_size=5), st.floats()), max_size=6)
NAMES = st.from_regex(r"\A[A-Za-z_:][A-Za-z0-9_.:/-]{0,20}\Z")


def test_nothing_is_refused_or_changed_that_a_scrape_would_give(server: RemoteWriteServer) -> None:
    @settings(max_examples=25, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
    @given(names=st.lists(NAMES, min_size=5, max_size=5, unique=True), records=RECORDS)
    def sends(names: list[str], records: list[tuple[dict[str, str], float]]) -> None:
        run = new_run()
        registry = tm.Registry()
        count, depth, size, spread, took = names
        for tags, value in records:
            registry.counter(f"{count}1").with_tags(tags).inc(abs(value))
            registry.gauge(f"{depth}2").with_tags(tags).set(value)
            registry.histogram(f"{size}3", buckets=[-1e300, 0.1, 1]).with_tags(tags).observe(value)
            registry.histogram(f"{spread}4", exponential=True).with_tags(tags).observe(value)
            registry.timer(f"{took}5").with_tags(tags).record(abs(value))
        snapshot = registry.snapshot()
        report(RemoteWrite(server.receiver, tags={"run": run}), snapshot)
        found = {key: one for key, one in server.query(f'{{run="{run}"}}').items() if not isinstance(one, dict)}
        exponential = {family.exposition_name for family in snapshot.families if family.name == f"{spread}4"}
        expected = {
            key: one
            for key, one in scraped(snapshot, run=run).items()
            if not any(key[0] in (f"{name}_bucket", f"{name}_sum", f"{name}_count") for name in exponential)
        }
        assert {key: repr(one) for key, one in found.items()} == {key: repr(float(one)) for key, one in expected.items()}

    sends()


# VictoriaMetrics


def values(victoria: VictoriaMetrics, run: str) -> dict[Any, float]:
    """Return the last value of each series."""
    return {
        (one["metric"].pop("__name__"), frozenset(one["metric"].items())): one["values"][-1]
        for one in victoria.exported(f'{{run="{run}"}}') or ()
    }


def test_what_arrives_at_victoriametrics_is_what_a_scrape_gives(victoria: VictoriaMetrics, registry: tm.Registry) -> None:
    record(registry)
    run = new_run()
    snapshot = registry.snapshot()
    report(RemoteWrite(f"{victoria.url}/api/v1/write", tags={"run": run}, native_histograms=False), snapshot)
    expected = scraped(snapshot, run=run)
    found = victoria.wait(lambda: values(victoria, run) if len(values(victoria, run)) == len(expected) else None, "all series")
    assert found == pytest.approx(expected)  # it keeps 15 digits


def test_victoriametrics_imports_a_text_file_as_it_takes_a_report(
    victoria: VictoriaMetrics, registry: tm.Registry, tmp_path: Path
) -> None:
    record(registry)
    run = new_run()
    snapshot = registry.snapshot()
    report(TextFile(tmp_path / "job.prom", tags={"run": run}), snapshot)
    assert ask(f"{victoria.url}/api/v1/import/prometheus", data=(tmp_path / "job.prom").read_bytes()) == ""
    expected = scraped(snapshot, run=run)
    found = victoria.wait(lambda: values(victoria, run) if len(values(victoria, run)) == len(expected) else None, "all series")
    assert found == pytest.approx(expected)


def test_totals_are_right_after_victoriametrics_was_killed(victoria: VictoriaMetrics, registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    run = new_run()
    backend = RemoteWrite(f"{victoria.url}/api/v1/write", tags={"run": run})
    waiting: list[list[bytes]] = []

    def tell() -> None:
        requests.inc(100)
        waiting.append(list(backend.encode(registry.snapshot(), 0.0)))
        send(backend, waiting)

    tell()
    victoria.kill()
    for _ in range(3):
        with pytest.raises(SendError):
            tell()
    victoria.start()
    tell()
    key = ("requests_total", frozenset({("run", run)}))
    assert victoria.wait(lambda: values(victoria, run).get(key), "the total") == requests.value == 500
