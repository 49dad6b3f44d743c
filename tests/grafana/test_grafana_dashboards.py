"""Dashboards: what is on them, and that Grafana's own types take them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_service import celery, endpoint, http, operations, run_promtool

import tallymark as tm
from tallymark.grafana.dashboards import DashboardsBuilder
from tallymark.grafana.endpoint import Endpoint
from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.objective import Latency, Objective, parse_percent
from tallymark.grafana.promql import parse_selector
from tallymark.grafana.rules import RulesBuilder
from tallymark.grafana.rules_file import rules_text
from tallymark.read.text import TextReader

GOLDEN = Path(__file__).parent / "golden" / "queries.txt"
OBJECTIVE = Objective(parse_percent("99.9"), 30)
LATENCY = Latency("0.5", Objective(parse_percent("99"), 30))
BOARDS = ["tallymark-http", "tallymark-operations", "tallymark-celery", "tallymark-runtime"]


def built(*recorders: Any, **options: Any) -> dict[str, Any]:
    return {uid: json.loads(text) for uid, text in DashboardsBuilder(endpoint(*recorders), **options).dashboards().items()}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def summary(board: dict[str, Any]) -> str:
    """Return what a dashboard shows, and what it asks for."""
    lines = [f"# {board['title']} ({board['uid']})"]
    lines += [f"${one['name']}: {one['query']['query']}" for one in board["templating"]["list"] if one["type"] == "query"]
    for panel in board["panels"]:
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
        lines.append(f"{panel['type']}: {panel['title']}{unit and f' [{unit}]'}")
        lines += [f"    {target['expr']}" for target in panel.get("targets", ())]
    return "\n".join(lines) + "\n"


ALL = built(objective=OBJECTIVE, latencies=[LATENCY])


def test_the_queries_of_a_service_are_these() -> None:
    made = built(http, objective=OBJECTIVE, latencies=[LATENCY], selector=parse_selector('env="live"'), name="Shop API")
    assert "\n".join(map(summary, made.values())) == GOLDEN.read_text()


def test_a_service_has_a_dashboard_for_each_kind_of_work_and_one_for_the_rest() -> None:
    assert list(ALL) == BOARDS
    assert list(built(operations)) == ["tallymark-operations", "tallymark-runtime"]
    assert list(built(only=["celery"], name="Worker")) == ["tallymark-worker-celery", "tallymark-worker-runtime"]


@pytest.mark.parametrize("uid", BOARDS)
def test_grafanas_own_types_read_a_dashboard_and_write_it_again(uid: str) -> None:
    register_default_plugins()
    read = Dashboard.from_json(json.loads(json.dumps(ALL[uid])))
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == ALL[uid]


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_have_places_of_their_own(uid: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in ALL[uid]["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert cells.isdisjoint(taken), panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    numbers = [panel["id"] for panel in ALL[uid]["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("uid", BOARDS)
def test_each_panel_tells_what_it_shows_in_which_unit(uid: str) -> None:
    assert ALL[uid]["uid"] == uid
    for panel in panels(ALL[uid]):
        assert panel["description"].endswith("."), panel["title"]
        shown = json.dumps([panel.get("fieldConfig"), panel["options"]])
        assert '"unit"' in shown, panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert "job=~`${job:regex}`" in target["expr"]


@pytest.mark.parametrize("uid", BOARDS[:3])
def test_durations_have_exemplars_and_the_objective_draws_the_lines(uid: str) -> None:
    by_title = {panel["title"]: panel for panel in panels(ALL[uid])}
    assert all(target["exemplar"] for target in by_title["Quantiles"]["targets"])
    assert by_title["Distribution"]["targets"][0]["format"] == "heatmap"

    def limits(title: str) -> list[float]:
        return [step["value"] for step in by_title[title]["fieldConfig"]["defaults"]["thresholds"]["steps"]]

    assert limits("Errors") == [None, 0.001, 0.0144]
    assert limits("p99") == [None, 0.5]
    assert limits("Burn rate: 99.9% over 30d") == [None, 1.0, 6.0, 14.4]


def test_without_an_objective_nothing_asks_for_rules() -> None:
    assert "ratio_rate" in json.dumps(ALL)
    assert "ratio_rate" not in json.dumps(built())


def test_the_table_leads_to_its_rows() -> None:
    (table,) = [panel for panel in panels(ALL["tallymark-http"]) if panel["type"] == "table"]
    override = next(one for one in table["fieldConfig"]["overrides"] if one["matcher"]["options"] == "Route")
    (link,) = override["properties"][0]["value"]
    assert link["url"].startswith("/d/tallymark-http?")
    assert link["url"].endswith("&var-route=${__value.raw:percentencode}")


def test_the_process_and_its_interpreter_are_shown_if_they_are_there() -> None:
    def record(registry: tm.Registry) -> None:
        http(registry)
        tm.process_metrics(registry)
        registry.timer("asyncio.eventloop.lag").record(0.1)
        registry.timer("cpython.gc.duration").record(0.1)
        registry.counter("logging.records", unit="{record}").inc(level="ERROR")

    own = {"Cardinality: live series", "Rejected data, per second", "Samples in a scrape"}
    more = {"CPU: seconds per second", "Memory", "Threads", "Event loop lag", "Pauses for garbage collection", "Log records"}
    titles = [{panel["title"] for panel in panels(built(one)["tallymark-runtime"])} for one in (http, record)]
    assert own <= titles[0]
    assert titles[0].isdisjoint(more)
    assert own | more <= titles[1]


@pytest.mark.server
@pytest.mark.parametrize("histograms", ["classic", "native"])
def test_promtool_takes_each_query(histograms: str, tmp_path: Path) -> None:
    found = endpoint(http, lambda registry: operations(registry, "billing"), celery, histograms=histograms)
    selector = [("env", "=~", "a'|\"b\\\\")]
    builder = DashboardsBuilder(found, objective=OBJECTIVE, latencies=[LATENCY], selector=selector)
    asked = [
        re.sub(r"\$__\w+", "5m", target["expr"])
        for text in builder.dashboards().values()
        for panel in panels(json.loads(text))
        for target in panel["targets"]
    ]
    rules = [{"record": f"query:{place}", "expr": expression} for place, expression in enumerate(asked)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(asked)} rules found" in run_promtool("check", "rules", tmp_path / "rules.yml")


@pytest.mark.slow
def test_the_same_metrics_give_the_same_text_in_each_process() -> None:
    code = (
        "from grafana_service import endpoint; from tallymark.grafana.dashboards import DashboardsBuilder;"
        "import hashlib; text = repr(DashboardsBuilder(endpoint()).dashboards());"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    folder = Path(__file__).parent
    told = {
        subprocess.check_output([sys.executable, "-c", code], cwd=folder, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_a_prefix_makes_dashboards_of_its_own() -> None:
    def both(registry: tm.Registry) -> None:
        operations(registry)
        operations(registry, "billing")

    made = built(both, objective=OBJECTIVE)
    assert list(made) == ["tallymark-operations", "tallymark-operations-billing", "tallymark-runtime"]
    asked = summary(made["tallymark-operations-billing"])
    assert "billing_operation_duration_seconds_bucket{" in asked
    assert "billing_operation_errors_total{" in asked
    assert "billing_operations_in_flight{" in asked
    assert "job:billing_operations_failed:ratio_rate1h{" in asked


@pytest.mark.parametrize("uid", BOARDS)
def test_choices_are_queries_that_the_editor_of_grafana_leaves_as_they_are(uid: str) -> None:
    datasource, *choices = ALL[uid]["templating"]["list"]
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    for choice in choices:
        assert choice["query"]["qryType"] == 5
        assert choice["query"]["classicQuery"] == choice["query"]["query"]
        assert (choice["multi"], choice["includeAll"], choice["allValue"]) == (True, True, ".*")


def test_only_what_is_there_is_asked_for() -> None:
    def bare(registry: tm.Registry) -> None:
        registry.timer("http.server.request.duration").record(0.1, **{"http.route": "/"})

    asked = summary(built(bare)["tallymark-http"])
    assert "active_requests" not in asked
    assert "body_size" not in asked
    assert "http_request_method" not in asked


@pytest.mark.parametrize("recorder", [http, operations, celery])
def test_what_is_rejected_later_is_seen_though_nothing_was_yet(recorder: Any) -> None:
    assert "tallymark_rejected_total{" in summary(built(recorder)["tallymark-runtime"])


@pytest.mark.parametrize(
    ("escaping", "name"), [("underscores", "tallymark_rejected_total"), ("dots", "tallymark__rejected__total")]
)
@pytest.mark.parametrize("has_rejected", [True, False])
def test_what_is_rejected_has_the_name_that_the_scraper_sees(escaping: str, name: str, has_rejected: bool) -> None:
    def reject(registry: tm.Registry) -> None:
        registry.counter("hits").inc(-1 if has_rejected else 1)

    found = endpoint(http, reject, escaping=escaping)
    assert f"increase({name}[1h])" in rules_text(RulesBuilder(found, OBJECTIVE).groups())
    assert f"rate({name}{{" in summary(json.loads(DashboardsBuilder(found).dashboards()["tallymark-runtime"]))


def test_metrics_of_other_libraries_are_not_described_as_rejected_data() -> None:
    page = "process_cpu_seconds_total 5\n# TYPE asyncio_eventloop_lag_seconds gauge\nasyncio_eventloop_lag_seconds 5\n"
    page += '# TYPE operation_duration_seconds histogram\noperation_duration_seconds_bucket{operation="a",le="1"} 1\n'
    found = Endpoint(tm.Snapshot(TextReader().families(page), 0.0), "here")
    runtime = json.loads(DashboardsBuilder(found).dashboards()["tallymark-runtime"])
    described = {panel["title"]: panel.get("description", "") for panel in panels(runtime)}
    assert described["CPU: seconds per second"] == ""
    assert described.keys().isdisjoint({"Rejected data, per second", "Event loop lag"})


def test_a_name_that_grafana_could_not_take_is_an_error() -> None:
    with pytest.raises(GrafanaError, match=r"name 'x+' is too long: .* more than 40 characters; choose a shorter one"):
        built(http, name="x" * 30)
