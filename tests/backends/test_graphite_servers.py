"""`Graphite` with a real carbon, and with VictoriaMetrics: what was recorded is what they hold, also after they were killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from carbon_server import Carbon, running_carbon
from one_report import send
from victoriametrics_server import VictoriaMetrics, running_victoriametrics

import tallymark as tm
from tallymark.backends import Graphite
from tallymark.report.errors import SendError

pytestmark = [pytest.mark.server, pytest.mark.slow]

ODD = "q\"\\é{}=,'~!^"
FORGED = "x;y=z 1 2\nforged 9 9"


@pytest.fixture(scope="module")
def carbon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carbon]:
    with running_carbon(tmp_path_factory.mktemp("carbon")) as server:
        yield server


@pytest.fixture(scope="module")
def victoriametrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    with running_victoriametrics(tmp_path_factory.mktemp("victoriametrics")) as server:
        yield server


def record(registry: tm.Registry) -> None:
    registry.counter("http.requests").inc(3, route="/users", odd=ODD)
    registry.counter("http.requests").inc(4, route=FORGED, odd='{a="b"}')
    registry.gauge("depth").set(-0.1)
    registry.gauge("broken").set(float("nan"))
    for value in (0.05, 0.5, 20.0):
        registry.timer("took", buckets=[0.1, 1]).record(value, name="n", empty="")


def test_carbon_holds_what_was_recorded(carbon: Carbon, registry: tm.Registry) -> None:
    record(registry)
    engine = "tagged." + str(registry).partition(" engine")[0].rpartition(" ")[2]  # each is on its own in the database
    send(Graphite(carbon.address, prefix=f"{engine}.", tags={"host": "h"}), registry.snapshot())
    carbon.wait_for(f"{engine}.http.requests", 3, route="/users", odd=ODD, host="h")
    carbon.wait_for(f"{engine}.http.requests", 4, route="x_y=z_1_2_forged_9_9", odd='{a="b_', host="h")
    carbon.wait_for(f"{engine}.depth", -0.1, host="h")
    for stat, value in {"count": 3, "sum": 20.55, "min": 0.05, "max": 20}.items():
        carbon.wait_for(f"{engine}.took.{stat}", value, exported_name="n", host="h")
    assert carbon.values(f"{engine}.broken", host="h") == []
    plain = engine.replace("tagged", "plain")
    send(Graphite(carbon.address, tagged=False, prefix=f"{plain}."), registry.snapshot())
    carbon.wait_for(f"{plain}.http.requests.odd.q{'_' * (len(ODD) - 1)}.route._users", 3)
    carbon.wait_for(f"{plain}.took.empty._.name.n.sum", 20.55)
    folders = {path.name for path in (carbon.folder / "whisper").iterdir()}
    assert folders <= {"_tagged", "tagged", "plain", "carbon"}
    log = (carbon.folder / "log").read_text() + "".join(path.read_text() for path in carbon.folder.glob("*.log"))
    assert "invalid line" not in log


def test_victoriametrics_holds_what_was_recorded(victoriametrics: VictoriaMetrics, registry: tm.Registry) -> None:
    record(registry)
    engine = str(registry).partition(" engine")[0].rpartition(" ")[2]
    send(Graphite(victoriametrics.graphite, tags={"engine": engine}), registry.snapshot())
    selector = f'{{engine="{engine}"}}'
    rows = victoriametrics.wait(lambda: victoriametrics.exported(selector), "what was sent")
    found = {(one["metric"].pop("__name__"), *sorted(one["metric"].values())): one["values"] for one in rows}
    assert found["http.requests", *sorted(["/users", ODD, engine])] == [3]
    assert found["http.requests", *sorted(["x_y=z_1_2_forged_9_9", '{a="b_', engine])] == [4]
    assert found["depth", engine] == [-0.1]
    assert found["took.sum", *sorted(["n", engine])] == [20.55]
    assert {name for name, *_ in found} == {
        "http.requests", "depth", "tallymark_series", "took.count", "took.sum", "took.min", "took.max", "took.p50", "took.p90",
        "took.p99",
    }  # fmt: skip


def test_totals_are_right_after_carbon_was_killed(carbon: Carbon, registry: tm.Registry) -> None:
    engine = str(registry).partition(" engine")[0].rpartition(" ")[2]
    jobs = registry.counter("jobs")
    backend = Graphite(carbon.address, prefix=f"killed.{engine}.", tags={"host": "h"})
    jobs.inc(3)
    send(backend, registry.snapshot())
    carbon.wait_for(f"killed.{engine}.jobs", 3, host="h")
    carbon.kill()
    jobs.inc(4)
    with pytest.raises(SendError, match="cannot be reached: nobody listens there") as info:
        send(backend, registry.snapshot())
    assert info.value.again
    carbon.start()
    jobs.inc(5)
    send(backend, registry.snapshot())
    carbon.wait_for(f"killed.{engine}.jobs", 12, host="h")
    assert carbon.values(f"killed.{engine}.jobs", host="h") == [3, 12]


def test_totals_are_right_after_victoriametrics_was_killed(victoriametrics: VictoriaMetrics, registry: tm.Registry) -> None:
    engine = str(registry).partition(" engine")[0].rpartition(" ")[2]
    jobs = registry.counter("jobs")
    backend = Graphite(victoriametrics.graphite, prefix=f"killed.{engine}.")
    jobs.inc(3)
    send(backend, registry.snapshot())
    victoriametrics.kill()
    jobs.inc(4)
    with pytest.raises(SendError, match="nobody listens there"):
        send(backend, registry.snapshot())
    victoriametrics.start()
    send(backend, registry.snapshot())

    def total() -> float | None:
        found = victoriametrics.query(f'{{__name__="killed.{engine}.jobs"}}')
        return float(found[0]["value"][1]) if found else None

    assert victoriametrics.wait(total, "the total") == 7
