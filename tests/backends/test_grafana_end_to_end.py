"""What `tallymark dashboards` and `tallymark rules` write, with a real Prometheus that scrapes a service under load.

Each expression must be answered with data, whatever the tags hold; each alert must have its text. One Prometheus scrapes two
services, one with classic histograms and one with native ones; both have their own dashboards and rules.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_server import Prometheus, is_version_3, job, running_prometheus

import tallymark as tm
from tallymark import cli
from tallymark.grafana.distribution import Native
from tallymark.grafana.promql import Spelling

pytestmark = [pytest.mark.slow, pytest.mark.server]

HTML, QUOTED = "/<script>alert(1)</script>&amp;", "/q\"uo\\te's/{id}/$1.*|ü"
ROUTES = ["/orders/{id}", HTML, QUOTED]
JOBS = ["classic", "native"]
MACROS = {"$__rate_interval": "10s", "$__range": "60s", "$__interval": "2s"}
BURNS = ["HTTPServerErrorBudgetBurn", "HTTPServerLatencyBudgetBurn", "OperationsErrorBudgetBurn", "CeleryTasksErrorBudgetBurn"]
ALERTS = {(alert, severity) for alert in BURNS for severity in ("page", "ticket")} | {("MetricsRejected", "ticket")}
REGEX_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")


class Service:
    """Records one of everything, again and again."""

    def __init__(self, registry: tm.Registry) -> None:
        tm.process_metrics(registry)
        self.requests = registry.timer("http.server.request.duration")
        self.sizes = [registry.histogram(f"http.server.{name}.body.size", unit="bytes") for name in ("request", "response")]
        registry.gauge("http.server.active_requests", aggregate="sum").set(3, **{"http.request.method": "GET"})
        self.operations = tm.OperationalMetrics(registry, in_flight=True)
        self.tasks, self.waits = registry.timer("celery.task.duration"), registry.timer("celery.task.queue_time")
        self.failed = registry.counter("celery.task.failed")
        registry.gauge("celery.worker.tasks.active", aggregate="sum").set(2)
        self.lag, self.pauses = registry.timer("asyncio.eventloop.lag"), registry.timer("cpython.gc.duration")
        registry.gauge("asyncio.tasks", aggregate="sum").set(4)
        self.logged = registry.counter("logging.records")

        self.operations.record_operation("idle", "success", 0.01)  # and never again

    def work(self) -> None:
        for route in ROUTES:
            for status, duration in (("200", 0.02), ("200", 0.3), ("500", 0.04)):
                tags = {"http.route": route, "http.request.method": "GET", "http.response.status_code": status}
                self.requests.record(duration, **tags | ({"error.type": "KeyError"} if status == "500" else {}))
                for size in self.sizes:
                    size.observe(512, **tags)
            self.operations.record_operation(route, "success", 0.01)
            self.operations.record_operation(route, "timeout", 0.4)
            self.operations.record_error(route, HTML)
            with self.operations.operation(route):
                self.tasks.record(0.2, task=route, state="SUCCESS")
                self.tasks.record(0.3, task=route, state="FAILURE")
            self.waits.record(0.1, task=route)
            self.failed.inc(task=route, exception="OSError")
        self.logged.inc(level="ERROR", logger=HTML)
        self.logged.inc(-1)  # is rejected
        self.lag.record(0.001)
        self.pauses.record(0.002)


@contextmanager
def under_load(services: list[Service]) -> Iterator[None]:
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.1):
            for service in services:
                service.work()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@dataclass(frozen=True)
class Scraped:
    """A Prometheus with the rules, the dashboards by job and file, and how each job escapes names."""

    prometheus: Prometheus
    dashboards: dict[str, dict[str, Any]]
    escapings: dict[str, str]


@pytest.fixture(scope="module")
def scraped(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("grafana")
    registries = [tm.Registry(), tm.Registry(exponential=True)]
    services = [Service(registry) for registry in registries]
    for service in services:
        service.work()
    # Prometheus 3 asks for names in UTF-8 where it asks for text; in protobuf, which has native histograms, it does not.
    dotted = {"scrape_protocols": ["OpenMetricsText1.0.0"]} if is_version_3(prometheus) else {}
    escapings = dict(zip(JOBS, ["allow-utf-8" if dotted else "underscores", "underscores"], strict=True))
    with under_load(services), tm.serve(0, registry=registries[0]) as one, tm.serve(0, registry=registries[1]) as other:
        ports, rules = [one.port, other.port], []
        for name, port in zip(JOBS, ports, strict=True):
            common = [f"http://127.0.0.1:{port}/metrics", "--selector", f'job="{name}"', "--histograms", name]
            common += ["--objective", "99.9", "--latency", "0.25:99", "--escaping", escapings[name], "--output"]
            assert cli.main(["dashboards", *common, str(folder / name)]) == 0
            assert cli.main(["rules", *common, str(folder / f"{name}.yml"), "--grafana", "https://grafana"]) == 0
            rules.append(at_once(folder / f"{name}.yml"))
        dashboards = {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in folder.glob("*/*.json")}
        (data := folder / "prometheus").mkdir()
        jobs = [job("classic", ports[0], **dotted), job("native", ports[1])]
        with running_prometheus(prometheus, data, jobs, rule_files=rules) as up:
            for name in JOBS:
                up.wait_for(f'ALERTS{{job="{name}",alertstate="firing",alertname=~"CeleryTasks.*"}}')
            yield Scraped(up, dashboards, escapings)


def at_once(path: Path) -> str:
    """Have rules evaluated each second: a test has no minutes."""
    text = re.sub(r"    interval: \w+\n", "", path.read_text()).replace("    rules:\n", "    interval: 1s\n    rules:\n")
    path.write_text(text)
    return str(path)


def interpolated(expression: str, chosen: dict[str, str]) -> str:
    """Return an expression as Grafana sends it: of each variable the value that was chosen, else of all values."""
    for macro, value in MACROS.items():
        expression = expression.replace(macro, value)

    def value_of(match: re.Match[str]) -> str:
        return REGEX_SPECIAL.sub(r"\\\g<0>", chosen[match[1]]) if match[1] in chosen else ".*"

    return re.sub(r"\$\{(\w+):regex\}", value_of, expression)


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the title of each panel and its expressions; those of annotations too."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in dashboard.get("annotations", {}).get("list", ()):
        yield annotation["name"], annotation["expr"]


def has_value(sample: dict[str, Any]) -> bool:
    return "histogram" in sample or sample["value"][1] != "NaN"


def answered(prometheus: Prometheus, expression: str) -> Callable[[], bool | None]:
    return lambda: any(map(has_value, prometheus.query(expression) or ())) or None


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("board", ["http", "operations", "celery", "runtime"])
def test_each_query_of_a_dashboard_is_answered_with_data(scraped: Scraped, name: str, board: str) -> None:
    found = list(queries(scraped.dashboards[f"{name}/tallymark-{board}"]))
    assert len(found) >= 7
    for title, expression in found:
        if title != "Restarts":  # there was none
            sent = interpolated(expression, {})
            scraped.prometheus.wait(answered(scraped.prometheus, sent), f"{title}: {sent}", 20)


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("route", ROUTES)
def test_whatever_a_route_is_called_it_can_be_chosen(scraped: Scraped, name: str, route: str) -> None:
    (expression,) = [
        expression
        for title, expression in queries(scraped.dashboards[f"{name}/tallymark-http"])
        if title == "Requests by route" and "quantile" not in expression and "/" not in expression
    ]
    label = "http.route" if scraped.escapings[name] == "allow-utf-8" else "http_route"
    chosen = interpolated(expression, {"route": route, "job": name})
    assert set(scraped.prometheus.values(chosen, label)) == {(route,)}


@pytest.mark.parametrize("name", JOBS)
def test_what_there_is_to_choose_is_found(scraped: Scraped, name: str) -> None:
    found = {}
    for variable in scraped.dashboards[f"{name}/tallymark-http"]["templating"]["list"][1:]:
        match = re.fullmatch(r"label_values\((.+), (.+)\)", variable["query"]["query"])
        assert match is not None
        path = f"label/{escaped_label(match[2])}/values"
        found[variable["name"]] = scraped.prometheus.get(path, **{"match[]": interpolated(match[1], {})})
    assert found["job"] == [name]
    assert len(found["instance"]) == 1
    assert sorted(found["route"]) == sorted(ROUTES)


def escaped_label(label: str) -> str:
    """Return a label as Grafana writes it into the path of a request."""
    return label if label.isidentifier() else "U__" + label.replace("_", "__").replace(".", "_2e_")


@pytest.mark.parametrize("name", JOBS)
def test_the_alerts_of_a_service_that_fails_tell_what_is_wrong(scraped: Scraped, name: str) -> None:
    told: dict[tuple[str, str], dict[str, str]] = {}

    def all_fire() -> bool | None:
        for one in scraped.prometheus.get("alerts")["alerts"]:
            if one["labels"].get("job") == name:
                told[one["labels"]["alertname"], one["labels"]["severity"]] = one["annotations"]
        return set(told) >= ALERTS or None

    scraped.prometheus.wait(all_fire, "alerts")
    assert set(told) == ALERTS
    page = told["HTTPServerErrorBudgetBurn", "page"]
    assert page["summary"] == f"HTTP server, job {name}: too many requests fail"
    assert page["dashboard_url"] == f"https://grafana/d/tallymark-http?var-job={name}"
    # A scrape comes while the service records, so it may see a few of one kind more than of the other.
    failing = re.match(r"([\d.]+)% of requests fail\. The objective is 99\.9% over 30d\.", page["description"])
    assert failing is not None
    assert float(failing[1]) == pytest.approx(100 / 3, abs=10)
    slow = re.match(r"([\d.]+)% of requests take longer", told["HTTPServerLatencyBudgetBurn", "ticket"]["description"])
    assert slow is not None
    assert float(slow[1]) == pytest.approx(50, abs=15)


def test_native_histograms_without_traffic_spoil_no_sum(scraped: Scraped) -> None:
    native = Native(Spelling(), "operation_duration_seconds", "seconds")
    idle = ['job="native"', 'operation="idle"']
    assert scraped.prometheus.values(native.count(["operation"], "5s", idle), "operation") == {("idle",): 0.0}
    assert scraped.prometheus.query(native.above("0.25", ["operation"], "5s", idle)) is None


def test_no_rule_failed(scraped: Scraped) -> None:
    groups = scraped.prometheus.get("rules")["groups"]
    assert {rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")} == set()
    assert len(groups) == 2 * 7
