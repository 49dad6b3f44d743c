"""`InfluxDB` with a real InfluxDB 1, and with VictoriaMetrics: what was recorded is what they hold, also after a kill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from influxdb_server import InfluxDB1, running_influxdb
from one_report import send
from victoriametrics_server import VictoriaMetrics, running_victoriametrics

import tallymark as tm
from tallymark.backends import InfluxDB
from tallymark.client.deadline import Deadline
from tallymark.report.errors import SendError, TooLargeError

pytestmark = [pytest.mark.server, pytest.mark.slow]

ODD = "q\"\\é{}=,;'~!^ end"
FORGED = "x,y=z a=1 2\nforged a=9 9\\"
AS_TOLD = "x,y=z a=1 2_forged a=9 9_"


@pytest.fixture(scope="module")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB1]:
    with running_influxdb(tmp_path_factory.mktemp("influxdb"), most_bytes=200_000) as server:
        yield server


@pytest.fixture(scope="module")
def victoriametrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    with running_victoriametrics(tmp_path_factory.mktemp("victoriametrics")) as server:
        yield server


@pytest.fixture
def database(influxdb: InfluxDB1, engine: Any) -> str:
    """An empty database."""
    name = f"{engine.name}{time.monotonic_ns()}"
    influxdb.query(f'CREATE DATABASE "{name}"')
    return name


@contextmanager
def closing(backend: InfluxDB) -> Iterator[InfluxDB]:
    try:
        yield backend
    finally:
        backend.close()


def record(registry: tm.Registry) -> None:
    registry.counter("http.requests").inc(3, route="/users", odd=ODD)
    registry.counter("http.requests").inc(4, route=FORGED, time="now", empty="")
    registry.gauge("depth").set(-1e-300)
    registry.gauge("broken").set(float("nan"))
    for value in (0.05, 0.5, 20.0):
        registry.timer("took", buckets=[0.1, 1]).record(value, count="c")
        registry.histogram("spread", exponential=True).observe(value)


def without_time(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted([{key: value for key, value in point.items() if key != "time"} for point in points], key=str)


def test_influxdb_holds_what_was_recorded(influxdb: InfluxDB1, database: str, registry: tm.Registry) -> None:
    record(registry)
    with closing(InfluxDB(influxdb.url, database=database, prefix="app.", tags={"host": "h"})) as backend:
        send(backend, registry.snapshot())
        requests = influxdb.points(database, "app.http.requests")
        assert without_time(requests) == [
            {"counter": 3, "host": "h", "odd": ODD, "route": "/users"},
            {"counter": 4, "exported_time": "now", "host": "h", "route": AS_TOLD},
        ]
        assert abs(requests[0]["time"] / 1e9 - time.time()) < 600
        assert without_time(influxdb.points(database, "app.depth")) == [{"gauge": -1e-300, "host": "h"}]
        buckets = {"count": 3, "sum": 20.55, "min": 0.05, "max": 20, "0.1": 1, "1": 2, "+Inf": 3}
        assert without_time(influxdb.points(database, "app.took")) == [{**buckets, "exported_count": "c", "host": "h"}]
        (spread,) = influxdb.points(database, "app.spread")
        assert (spread["count"], spread["sum"], spread["+Inf"]) == (3, 20.55, 3)
        assert influxdb.points(database, "app.broken") == []
        (names,) = influxdb.query("SHOW MEASUREMENTS", database)
        wanted = ["app.depth", "app.http.requests", "app.spread", "app.tallymark_series", "app.took"]
        assert [name for (name,) in names["values"]] == wanted
        types = {kind for one in influxdb.query("SHOW FIELD KEYS", database) for _, kind in one["values"]}
        assert types == {"float"}


def test_a_report_that_is_sent_again_changes_nothing(influxdb: InfluxDB1, database: str, registry: tm.Registry) -> None:
    record(registry)
    snapshot = registry.snapshot()
    with closing(InfluxDB(influxdb.url, database=database)) as backend:
        for _ in range(3):
            send(backend, snapshot)
    assert len(influxdb.points(database, "http.requests")) == 2
    assert len(influxdb.points(database, "took")) == 1


def test_influxdb_says_what_is_wrong(influxdb: InfluxDB1, database: str) -> None:
    deadline = Deadline(30.0, time.monotonic)
    with closing(InfluxDB(influxdb.url, database=database)) as backend:
        backend.send([b"m a=1 1\n"], deadline)
        with pytest.raises(SendError, match=r"answers 400: partial write: field type conflict: .* dropped=1") as info:
            backend.send([b"m b=2 1\n", b'm a="text" 2\n'], deadline)
        assert not info.value.again
        assert influxdb.points(database, "m") == [{"time": 1, "a": 1, "b": 2}]  # the rest is stored
    plain = InfluxDB(influxdb.url, database=database, compress=False)
    with closing(plain) as backend, pytest.raises(TooLargeError, match="answers 413"):
        backend.send([b"m a=1 1\n" * 25_001], deadline)
    with closing(InfluxDB(influxdb.url, database="nowhere")) as backend:
        with pytest.raises(SendError, match='404: database not found: "nowhere"; create it, or name another') as info:
            backend.send([b"m a=1 1\n"], deadline)
        assert not info.value.again


def test_credentials_are_checked(tmp_path_factory: pytest.TempPathFactory) -> None:
    deadline = Deadline(30.0, time.monotonic)
    with running_influxdb(tmp_path_factory.mktemp("auth"), "writer", "p:w/d") as server:
        server.query("CREATE DATABASE d")
        with closing(InfluxDB(server.url, database="d", auth=("writer", "p:w/d"))) as backend:
            backend.send([b"m a=1 1\n"], deadline)
        with closing(InfluxDB(server.url.replace("//", "//writer:p%3Aw%2Fd@"), database="d")) as backend:
            backend.send([b"m a=2 2\n"], deadline)
        for wrong in ({}, {"auth": ("writer", "no")}):
            with closing(InfluxDB(server.url, database="d", **wrong)) as backend, pytest.raises(SendError, match="401") as info:  # type: ignore[arg-type]
                backend.send([b"m a=3 3\n"], deadline)
            assert not info.value.again
        assert [point["a"] for point in server.points("d", "m")] == [1, 2]


def test_totals_are_right_after_influxdb_was_killed(influxdb: InfluxDB1, database: str, registry: tm.Registry) -> None:
    jobs = registry.counter("jobs")
    with closing(InfluxDB(influxdb.url, database=database)) as backend:
        jobs.inc(3)
        send(backend, registry.snapshot())
        influxdb.kill()
        jobs.inc(4)
        lost = list(backend.encode(registry.snapshot(), 0.0))
        with pytest.raises(SendError) as info:
            backend.send(lost, Deadline(30.0, time.monotonic))
        assert info.value.again
        influxdb.start()
        jobs.inc(5)
        backend.send(lost, Deadline(30.0, time.monotonic))
        send(backend, registry.snapshot())
    assert [point["counter"] for point in influxdb.points(database, "jobs")] == [3, 7, 12]


@pytest.mark.parametrize("api", ["1", "2"])
def test_victoriametrics_holds_what_was_recorded(victoriametrics: VictoriaMetrics, registry: tm.Registry, api: str) -> None:
    record(registry)
    who = str(time.monotonic_ns())
    options = {"database": "d"} if api == "1" else {"org": "o", "bucket": "b", "token": "t"}
    with closing(InfluxDB(victoriametrics.url, tags={"who": who}, **options)) as backend:  # type: ignore[arg-type]
        send(backend, registry.snapshot())
    rows = victoriametrics.wait(lambda: victoriametrics.exported(f'{{who="{who}"}}'), "what was sent")
    found = {}
    for row in rows:
        labels = {key: value for key, value in row["metric"].items() if key not in ("db", "who")}
        found[labels.pop("__name__"), *sorted(labels.items())] = row["values"]
    assert found["http.requests_counter", ("odd", ODD), ("route", "/users")] == [3]
    assert found["http.requests_counter", ("exported_time", "now"), ("route", AS_TOLD)] == [4]
    assert found["took_sum", ("exported_count", "c")] == [20.55]
    assert found["took_0.1", ("exported_count", "c")] == [1]
    assert found["spread_+Inf",] == [3]
    names = {name.partition("_")[0] for name, *_ in found}
    assert names == {"http.requests", "depth", "took", "spread", "tallymark"}


def test_totals_are_right_after_victoriametrics_was_killed(victoriametrics: VictoriaMetrics, registry: tm.Registry) -> None:
    name = f"killed{time.monotonic_ns()}"
    jobs = registry.counter(name)
    with closing(InfluxDB(victoriametrics.url, database="d")) as backend:
        jobs.inc(3)
        send(backend, registry.snapshot())
        victoriametrics.kill()
        jobs.inc(4)
        with pytest.raises(SendError):
            send(backend, registry.snapshot())
        victoriametrics.start()
        send(backend, registry.snapshot())

    def total() -> float | None:
        found = victoriametrics.query(f'{{__name__="{name}_counter"}}')
        return float(found[0]["value"][1]) if found else None

    assert victoriametrics.wait(total, "the total") == 7
