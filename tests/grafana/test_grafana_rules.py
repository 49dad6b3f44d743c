"""Rules: Prometheus takes them, and their alerts fire when they must, and only then."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_service import HTTP_BOUNDS, celery, check, check_firing, endpoint, http, operations, run_promtool

import tallymark as tm
from tallymark.export.prometheus import render_prometheus
from tallymark.grafana.dashboards import DashboardsBuilder
from tallymark.grafana.distribution import Classic
from tallymark.grafana.endpoint import Endpoint
from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.objective import Objective, parse_latency, parse_percent
from tallymark.grafana.promql import parse_selector
from tallymark.grafana.rules import RulesBuilder
from tallymark.grafana.rules_file import rules_text
from tallymark.grafana.uid import dashboard_uid
from tallymark.read.text import TextReader

GOLDEN = Path(__file__).parent / "golden" / "rules.yml"


def rules(*recorders: Any, objective: str = "99.9", days: int = 30, latency: str = "", **options: Any) -> RulesBuilder:
    whole = Objective(parse_percent(objective), days)
    latencies = [parse_latency(text, whole) for text in latency.split()]
    given = {name: options.pop(name) for name in ("escaping", "histograms") if name in options}
    return RulesBuilder(endpoint(*recorders, **given), whole, latencies, **options)


def text(*recorders: Any, **options: Any) -> str:
    return rules_text(rules(*recorders, **options).groups())


def test_the_rules_of_a_service_are_these() -> None:
    selector = parse_selector('job="api"')
    made = text(http, latency="0.5:99", selector=selector, runbook="https://wiki/api", grafana="https://grafana/", name="API")
    assert made == GOLDEN.read_text()


@pytest.mark.server
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"latency": "0.5 1:99"},
        {"latency": "0.3:99", "histograms": "native"},
        {"latency": "0.5", "by": ("job", "http.route", "operation"), "days": 7},
        {"by": (), "objective": "80", "days": 28},
        {"selector": parse_selector("env=~\"a|b\",path!='q\\'\"\\\\'")},
    ],
    ids=["plain", "latencies", "native", "by route", "by nothing", "selector"],
)
def test_promtool_finds_nothing_wrong(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(text(**options))
    assert "SUCCESS" in run_promtool("check", "rules", tmp_path / "rules.yml")


@pytest.mark.server
def test_no_names_break_the_file(tmp_path: Path) -> None:
    """Prefixes, labels, values and names as nobody should choose them; `promtool` reads them all at once."""
    parts = ['"', "\\", "\n", "{{", "}}", "$x", "`", "'", "a", "B", "1", "_", ":", "é", "日", "%", "#", " ", "|", "<b>", "\x85"]
    chance = random.Random(18)
    for number in range(12):
        label, value = ["".join(chance.choices(parts, k=chance.randint(1, 6))) for _ in range(2)]
        name = f"{''.join(chance.choices('aB_:', k=chance.randint(1, 30)))}_operation_duration_seconds"
        page = f'# TYPE {name} histogram\n{name}_bucket{{operation="a",le="0.5"}} 1\n'
        source = Endpoint(tm.Snapshot(TextReader().families(page), 0.0), "here")
        whole, selector = Objective(parse_percent("99.9"), 30), [("path", chance.choice(["=", "!="]), value)]
        builder = RulesBuilder(
            source, whole, [parse_latency("0.5", whole)], selector=selector, by=("job", label), grafana="https://grafana"
        )
        (tmp_path / f"{number}.yml").write_text(rules_text(builder.groups()))
        boards = DashboardsBuilder(source, objective=whole, selector=selector, by=("job", label)).dashboards()
        assert all(json.loads(board)["uid"] == uid and len(uid) <= 40 for uid, board in boards.items())
    run_promtool("check", "rules", *tmp_path.iterdir())


def test_a_long_prefix_and_a_name_without_latin_letters_have_uids_of_their_own() -> None:
    uids = [dashboard_uid(f"operations-payment-service-backend-{number}") for number in range(20)]
    uids += [dashboard_uid("http", name) for name in ("日本", "中文", "")] + [dashboard_uid(uids[0][10:], "a-name")]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"tallymark-[a-z0-9-]{4,30}", uid) for uid in uids)


@pytest.mark.parametrize("label", ["objective", "severity", "alertname", "le"])
def test_a_label_that_rules_give_themselves_does_not_tell_budgets_apart(label: str) -> None:
    with pytest.raises(GrafanaError, match=f"by '{label}': .* choose another label"):
        rules(http, by=("job", label))


def test_an_objective_that_is_given_twice_has_one_alert() -> None:
    assert text(http, latency="0.5 0.50 0.5:99.90") == text(http, latency="0.5")


OK = 'http_server_request_duration_seconds_count{job="api",instance="a",http_route="/",http_response_status_code="200"}'
BROKEN = 'http_server_request_duration_seconds_count{job="api",instance="a",http_route="/",http_response_status_code="500"}'
GONE = 'http_server_request_duration_seconds_count{job="api",instance="a",http_route="/",error_type="client_disconnect"}'
FAST = OK.replace("_count{", '_bucket{le="0.5",')
ALWAYS = "99.9% over 30d"
QUICK = "99% within 0.5s over 30d"


def burns(objective: str, alert: str, *severities: str) -> list[dict[str, str]]:
    return [{"alertname": alert, "job": "api", "objective": objective, "severity": severity} for severity in severities]


def errors(*severities: str) -> list[dict[str, str]]:
    return burns(ALWAYS, "HTTPServerErrorBudgetBurn", *severities)


@pytest.mark.server
@pytest.mark.parametrize(
    ("series", "at", "severities"),
    [
        ({OK: "0+10000x90"}, "1h", []),
        ({OK: "0+10000x90", BROKEN: "0+5x90"}, "1h", []),  # half of what the budget allows
        ({OK: "0+10000x90", BROKEN: "0+20x90"}, "1h", ["ticket"]),  # twice
        ({OK: "0+10000x90", BROKEN: "0+100x90"}, "1h", ["ticket", "page"]),  # ten times: the window of 6 hours
        ({OK: "0+10000x90", BROKEN: "0x65 0+3000x30"}, "75m", ["ticket", "page"]),  # an outage after hours without errors
        ({OK: "0+10000x90", BROKEN: "0x30 0+12000x5 60000x60"}, "75m", ["ticket"]),  # one that is over
        ({OK: "0+10000x90", BROKEN: "0x87 0+2000x2 4000x10"}, "90m", ["ticket"]),  # a short one
        ({OK: "0+1000x90", GONE: "0+1000x90"}, "1h", ["ticket", "page"]),  # without any status
        ({BROKEN: "0+1000x90"}, "1h", ["ticket", "page"]),  # nothing else
        ({OK: "100x90", BROKEN: "100x90"}, "1h", []),  # no traffic
        ({OK: "100x90 0+1000x60", BROKEN: "100x90 0x60"}, "2h", []),  # a restart
    ],
    ids=[
        "no errors",
        "few",
        "twice too many",
        "ten times",
        "outage",
        "over",
        "blip",
        "no status",
        "all fail",
        "no traffic",
        "restart",
    ],
)
def test_errors_alert_who_must_know_and_nobody_else(
    series: dict[str, str], at: str, severities: list[str], tmp_path: Path
) -> None:
    check_firing(tmp_path, text(http), series, at, errors(*severities))


@pytest.mark.server
@pytest.mark.parametrize(
    ("fast", "severities"), [(995, []), (980, ["ticket"]), (900, ["ticket", "page"])], ids=["few", "some", "many"]
)
def test_slow_requests_alert_by_their_own_objective(fast: int, severities: list[str], tmp_path: Path) -> None:
    series = {OK: "0+1000x90", FAST: f"0+{fast}x90"}
    check_firing(tmp_path, text(http, latency="0.5:99"), series, "1h", burns(QUICK, "HTTPServerLatencyBudgetBurn", *severities))


@pytest.mark.server
@pytest.mark.parametrize("bound", ["1", "1.0"])
def test_a_bound_is_found_however_it_is_written(bound: str, tmp_path: Path) -> None:
    series = {OK: "0+1000x90", OK.replace("_count{", f'_bucket{{le="{bound}",'): "0+1000x90"}
    check_firing(tmp_path, text(http, latency="1:99"), series, "1h", [])
    check_firing(tmp_path, text(http, latency="1:99"), series | {OK: "0+2000x90"}, "1h", burns(
        "99% within 1s over 30d", "HTTPServerLatencyBudgetBurn", "ticket", "page"
    ))  # fmt: skip


@pytest.mark.server
def test_what_fails_is_not_slow_too(tmp_path: Path) -> None:
    series = {OK: "0+1000x90", FAST: "0+1000x90", BROKEN: "0+1000x90", BROKEN.replace("_count{", '_bucket{le="0.5",'): "0x90"}
    check_firing(tmp_path, text(http, latency="0.5:99"), series, "1h", errors("ticket", "page"))


@pytest.mark.server
def test_each_job_has_its_own_budget(tmp_path: Path) -> None:
    series = {OK: "0+1000x90", BROKEN: "0+1000x90", OK.replace('"api"', '"web"'): "0+1000x90"}
    check_firing(tmp_path, text(http), series, "1h", errors("ticket", "page"))


@pytest.mark.server
def test_each_route_may_have_its_own_budget(tmp_path: Path) -> None:
    other, other_fast = OK.replace('route="/"', 'route="/b"'), FAST.replace('route="/"', 'route="/b"')
    series = {OK: "0+1000x90", FAST: "0+1000x90", other: "0+1000x90", other_fast: "0+500x90"}
    expected = [one | {"http_route": "/b"} for one in burns(QUICK, "HTTPServerLatencyBudgetBurn", "ticket", "page")]
    check_firing(tmp_path, text(http, latency="0.5:99", by=("job", "http_route")), series, "1h", expected)


@pytest.mark.server
def test_without_errors_the_share_is_zero_and_the_whole_budget_is_left(tmp_path: Path) -> None:
    labels = {"__name__": "job:http_server_requests_failed:ratio_rate30d", "job": "api", "objective": ALWAYS}
    check(tmp_path, text(http), {OK: "0+1000x90"}, "1h", "job:http_server_requests_failed:ratio_rate30d", [(labels, 0)])


@pytest.mark.server
def test_without_traffic_there_is_no_share(tmp_path: Path) -> None:
    check(tmp_path, text(http, latency="0.5"), {OK: "100x90", FAST: "100x90"}, "1h", '{__name__=~".*:ratio_rate.*"}', [])


@pytest.mark.server
@pytest.mark.parametrize(
    ("recorder", "alert", "name", "labels"),
    [
        (operations, "Operations", "operation_duration_seconds_count", 'operation="login",status="timeout"'),
        (celery, "CeleryTasks", "celery_task_duration_seconds_count", 'task="mail.send",state="FAILURE"'),
    ],
)
def test_other_work_alerts_too(recorder: Any, alert: str, name: str, labels: str, tmp_path: Path) -> None:
    failed, fine = f'{name}{{job="api",{labels}}}', f'{name}{{job="api",status="success",state="SUCCESS"}}'
    check_firing(tmp_path, text(recorder), {fine: "0+1000x90", failed: "0x90"}, "1h", [])
    expected = burns(ALWAYS, f"{alert}ErrorBudgetBurn", "ticket", "page")
    check_firing(tmp_path, text(recorder), {fine: "0+1000x90", failed: "0+100x90"}, "1h", expected)


@pytest.mark.server
@pytest.mark.parametrize(
    ("series", "instance"),
    [
        ({'up{job="api",instance="a"}': "1x30"}, None),
        ({'up{job="api",instance="a"}': "1x10 0x20"}, "a"),
        ({'up{job="api",instance="a"}': "1x27 0x3"}, None),  # not for long yet
        ({'up{job="web",instance="b"}': "1x30"}, ""),
    ],
    ids=["up", "down", "for a moment", "absent"],
)
def test_a_service_that_is_not_scraped_alerts(series: dict[str, str], instance: str | None, tmp_path: Path) -> None:
    where = {"instance": instance} if instance else {}
    expected = [] if instance is None else [{"alertname": "MetricsNotScraped", "job": "api", "severity": "page"} | where]
    made = text(http, selector=parse_selector('job="api",http_route!="/health"'))
    check_firing(tmp_path, made, series, "30m", expected)


def test_without_a_job_no_rule_waits_for_targets() -> None:
    assert "MetricsNotScraped" not in text(http) + text(http, selector=parse_selector('service="api"'))


@pytest.mark.server
@pytest.mark.parametrize(
    ("values", "fires"), [("_x80 1x10", True), ("1x20 2x70", False), ("1x90", False), ("1x80 2x10", True)],
    ids=["first", "long ago", "none since", "one more"],
)  # fmt: skip
def test_rejected_data_alerts_from_the_first_on(values: str, fires: bool, tmp_path: Path) -> None:
    labels = {"job": "api", "metric": "size", "reason": "negative"}
    series = {'tallymark_rejected_total{job="api",instance="a",metric="size",reason="negative"}': values}
    expected = [{"alertname": "MetricsRejected", "severity": "ticket"} | labels] if fires else []
    check_firing(tmp_path, text(http), series, "85m", expected)


def test_a_threshold_must_be_a_bound_and_the_message_tells_which_there_are() -> None:
    with pytest.raises(
        GrafanaError, match=r"latency 0\.3 is no bound of the buckets of http_server_request_duration_seconds"
    ) as told:
        rules(http, latency="0.3")
    assert ", ".join([f"{bound:g}" for bound in HTTP_BOUNDS]) in str(told.value)


def test_each_bound_that_the_message_tells_can_be_chosen() -> None:
    def record(registry: tm.Registry) -> None:
        http(registry, buckets=tm.exponential_buckets(0.0005, 1.3, 20))

    with pytest.raises(GrafanaError) as told:
        rules(record, latency="0.05")
    bounds = str(told.value).split("which are ")[1].split(":")[0].split(", ")
    assert len(bounds) == 20
    for bound in bounds:
        assert f'le="{bound}"' in text(record, latency=bound)


def test_exponential_buckets_take_any_threshold_if_they_are_stored_as_such() -> None:
    def exponential(registry: tm.Registry) -> None:
        http(registry, exponential=True)

    assert "histogram_fraction(-Inf, 0.3," in text(exponential, latency="0.3")
    with pytest.raises(GrafanaError, match=r"have no fixed bounds.*native histograms"):
        rules(exponential, latency="0.3", histograms="classic")


def test_a_page_of_text_does_not_make_bounds_of_exponential_buckets() -> None:
    registry = tm.Registry(exponential=True)
    http(registry, exponential=True)
    http(registry, exponential=True)
    page = render_prometheus(registry.snapshot()).decode()
    found = Endpoint(tm.Snapshot(TextReader().families(page), 0.0), "here")
    (subject,) = found.subjects()
    assert (type(subject.duration), subject.duration.bounds) == (Classic, ())


@pytest.mark.parametrize("bounds", [HTTP_BOUNDS, (0.25, 0.5, 1, 2, 4), (-2, -1, 0, 1, 2), (0.1,), (1.5, 3, 6), (10, 100, 1000)])
def test_bounds_that_people_choose_are_not_taken_for_exponential_ones(bounds: tuple[float, ...]) -> None:
    (subject,) = endpoint(lambda registry: http(registry, buckets=bounds)).subjects()
    assert subject.duration.bounds == bounds


def test_an_objective_that_is_too_low_for_an_alert_is_told() -> None:
    builder = rules(http, objective="90")
    assert [note for note in builder.notes() if "90% over 30d: no alert on 1h" in note]
    assert "ratio_rate1h" not in rules_text(builder.groups())
    with pytest.raises(GrafanaError, match=r"40% over 90d.*give a higher one"):
        rules(http, objective="40", days=90).groups()


def test_names_with_dots_are_written_in_quotes() -> None:
    made = text(http, escaping="allow-utf-8", latency="0.5:99", by=("job", "http.route"))
    assert '{"http.server.request.duration_seconds_bucket"' in made
    assert '"http.response.status_code"=~"5.."' in made
    assert 'sum by (job, "http.route")' in made
    assert "job_http_route:http_server_requests:rate5m" in made
    assert '{{ index $labels "http.route" }}' in made
