"""What the StatsD server of npm makes of our reports, and that nothing counts twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from delta_reports import DeltaReports
from statsd_server import StatsDServer, require_statsd

import tallymark as tm
from tallymark.backends import StatsD
from tallymark.report.errors import SendError

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def program() -> Path:
    return require_statsd()


@pytest.fixture
def server(program: Path, tmp_path: Path) -> Iterator[StatsDServer]:
    server = StatsDServer(program, tmp_path)
    server.start()
    yield server
    server.kill()


def quiet() -> tm.Registry:
    return tm.Registry(self_metrics=False)


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_numbers_are_those_that_were_recorded(server: StatsDServer, scheme: str) -> None:
    registry = quiet()
    reports = DeltaReports(registry, StatsD(f"{scheme}://{server.address}", prefix="svc.", tags={"env": "prod"}))
    registry.counter("hits").inc(5, method="GET")
    registry.counter("hits").inc(2.5, method="PUT")
    registry.counter("huge").inc(1.5e22)
    registry.counter("tiny").inc(1e-7)
    registry.gauge("depth").set(7)
    registry.gauge("balance").set(-3.25)
    took = registry.timer("took", buckets=(0.1, 1.0))
    for seconds in (0.05, 0.06, 0.07, 0.5, 2.0):
        took.record(seconds)
    reports.report()
    server.wait_for_lines(10)
    assert server.ask("counters") == {
        "svc.hits.env.prod.method.GET": 5, "svc.hits.env.prod.method.PUT": 2.5, "svc.huge.env.prod": 1.5e22,
        "svc.tiny.env.prod": 1e-7,
    }  # fmt: skip
    assert server.ask("gauges") == {"svc.depth.env.prod": 7, "svc.balance.env.prod": -3.25}
    registry.counter("hits").inc(4, method="GET")
    registry.gauge("balance").set(-1)
    registry.gauge("depth").set(0)
    took.record(0.5)
    reports.report()
    server.wait_for_lines(15)
    counters, timers = server.ask("counters"), server.ask("timers")
    assert counters is not None
    assert timers is not None
    assert counters["svc.hits.env.prod.method.GET"] == 9
    assert server.ask("gauges") == {"svc.depth.env.prod": 0, "svc.balance.env.prod": -1}
    [first, second, third, fourth] = timers["svc.took.env.prod"]
    assert 3 * first + second + third == pytest.approx(2680)  # milliseconds
    assert fourth == 500
    assert server.end()["timer_counters"] == {"svc.took.env.prod": 6}


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("none", "hits.method.GET.route._a_b"),
        ("graphite", "hits;method=GET;route=-a-b"),
        ("datadog", "hits;method=GET;route=-a-b"),
    ],
)
def test_tags_arrive_in_the_dialects_that_it_reads(server: StatsDServer, dialect: str, name: str) -> None:
    registry = quiet()
    registry.counter("hits").inc(3, method="GET", route="/a/b")
    DeltaReports(registry, StatsD(server.address, dialect=dialect)).report()
    server.wait_for_lines(1)
    assert server.ask("counters") == {name: 3}


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize("dialect", ["none", "graphite", "influxdb", "datadog"])
def test_tags_of_an_enemy_make_no_other_series(server: StatsDServer, scheme: str, dialect: str) -> None:
    """Values that would end a line, or whose bytes would if the server kept seven bits of each, as it does over TCP."""
    registry, rng = quiet(), random.Random(f"{scheme} {dialect}")
    counter = registry.counter("hits", limits=tm.TagLimits(max_series=2000))
    spice = [
        "\n",
        "|c",
        ":1",
        "forged",
        "\u028a",
        "\u02ba",
        "\u00a3",
        "#",
        "|#",
        ",",
        ";",
        "=",
        "@",
        "\r",
        "\0",
        "é",
        "/",
        " ",
        "'",
    ]
    for i in range(300):
        value = "".join(rng.choices(spice, k=rng.randrange(1, 12)))
        counter.inc(1, key=f"{i}_{value}")
    counter.inc(1, key="\u028aforged")
    counter.inc(1, key="a\nforged:1|c\nb")
    DeltaReports(registry, StatsD(f"{scheme}://{server.address}", dialect=dialect)).report()
    server.wait_for_lines(302)
    counters = server.ask("counters")
    assert counters is not None
    assert all(name.startswith("hits") for name in counters)
    assert sum(counters.values()) == 302
    if dialect != "influxdb":  # which it does not read
        assert [name for name in counters if name.count(";") > 1] == []


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_what_is_lost_is_exactly_what_was_sent_while_the_server_was_dead(server: StatsDServer, scheme: str) -> None:
    registry = quiet()
    hits, took, depth = registry.counter("hits"), registry.timer("took"), registry.gauge("depth")
    reports = DeltaReports(registry, StatsD(f"{scheme}://{server.address}"))
    hits.inc(5)
    depth.set(-1)
    reports.report()
    server.wait_for_lines(3)
    assert server.ask("counters") == {"hits": 5}
    server.kill()
    hits.inc(7)
    took.record(0.25)
    with pytest.raises(SendError, match="nobody listens there"):
        reports.report()
    hits.inc(11)
    server.start()
    depth.set(-4)
    took.record(0.125)
    reports.report()
    server.wait_for_lines(4)
    assert server.ask("counters") == {"hits": 11}
    assert server.ask("gauges") == {"depth": -4}
    assert server.ask("timers") == {"took": [125]}


def test_a_reporter_goes_on_when_the_server_is_back(server: StatsDServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tallymark")
    registry = tm.Registry()
    hits, balance = registry.counter("hits"), registry.gauge("balance")
    backend = StatsD(server.address, include=["hits", "balance", "odd"])
    with tm.report_to(backend, every=600.0, registry=registry) as reporter:
        hits.inc(5)
        balance.set(-2.5)
        registry.gauge("odd").set(float("inf"))
        assert reporter.flush(10)
        server.wait_for_lines(3)
        assert server.ask("counters") == {"hits": 5}
        server.kill()
        hits.inc(7)
        assert not reporter.flush(0.5)
        hits.inc(11)
        balance.set(-4)
        server.start()
        assert reporter.flush(10)
        server.wait_for_lines(3)
        assert server.ask("counters") == {"hits": 11}
        assert server.ask("gauges") == {"balance": -4}
        hits.inc(1)
    server.wait_for_lines(6)  # the last report
    assert server.ask("counters") == {"hits": 12}
    rejected = registry.snapshot().find("tallymark_rejected", metric="odd", reason="unsupported_value")
    assert rejected is not None
    assert rejected.value == 4  # once a report
    assert [record.levelname for record in caplog.records if "reports" in record.getMessage()] == ["WARNING", "WARNING"]


def test_twenty_thousand_series_arrive_in_one_report(server: StatsDServer) -> None:
    registry = quiet()
    counter = registry.counter("hits", limits=tm.TagLimits(max_series=20_000))
    for i in range(20_000):
        counter.inc(i + 0.5, user=i)
    DeltaReports(registry, StatsD(f"tcp://{server.address}")).report()
    server.wait_for_lines(20_000)
    assert server.ask("counters") == {f"hits.user.{i}": i + 0.5 for i in range(20_000)}
