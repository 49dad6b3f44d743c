"""What services of these tests have recorded, and what `promtool` says of rules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.grafana.endpoint import Endpoint

HTTP_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
ODD = 'q"uo\\te{}\n<b>&amp;</b> ü'


def http(registry: tm.Registry, **options: Any) -> None:
    """Record one request, with the names of OpenTelemetry's conventions."""
    tags = {"http.route": "/orders/{id}", "http.request.method": "GET", "http.response.status_code": "200"}
    options = options or {"buckets": HTTP_BOUNDS}
    registry.timer("http.server.request.duration", **options).record(0.2, **tags)
    registry.gauge("http.server.active_requests", aggregate="sum").set(1, **{"http.request.method": "GET"})
    for name in ("request", "response"):
        registry.histogram(f"http.server.{name}.body.size", unit="bytes").observe(100, **tags)


def operations(registry: tm.Registry, prefix: str = "") -> None:
    """Record one operation."""
    metrics = tm.OperationalMetrics(registry, prefix, in_flight=True)
    with metrics.operation("login"):
        pass
    metrics.record_error("login", "KeyError")


def celery(registry: tm.Registry) -> None:
    """Record one task."""
    registry.timer("celery.task.duration").record(0.2, task="mail.send", state="SUCCESS")
    registry.timer("celery.task.queue_time").record(0.2, task="mail.send")
    registry.counter("celery.task.failed").inc(task="mail.send", exception="OSError")
    registry.gauge("celery.worker.tasks.active", aggregate="sum").set(1)


def endpoint(*recorders: Any, **options: Any) -> Endpoint:
    """Return what an endpoint has after these have recorded."""
    registry = tm.Registry()
    for recorder in recorders or (http, operations, celery):
        recorder(registry)
    return Endpoint(registry.snapshot(), "http://127.0.0.1:9464/metrics", **options)


def run_promtool(*arguments: str | Path) -> str:
    """Run `promtool`; return what it prints. Fail with that if it fails."""
    path = shutil.which("promtool")
    if path is None:
        if os.environ.get("TALLYMARK_REQUIRE_PROMETHEUS") == "1":
            pytest.fail("promtool is not on the PATH, but TALLYMARK_REQUIRE_PROMETHEUS=1")
        pytest.skip("promtool is not on the PATH")
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if done.returncode:
        pytest.fail(f"promtool {arguments}: {done.stdout}\n{done.stderr}")
    return done.stdout


def check_firing(
    folder: Path, rules: str, series: Mapping[str, str], at: str, firing: Sequence[Mapping[str, str]], alert: str = ".+"
) -> None:
    """Have `promtool` check which alerts fire.

    Args:
        series: what is scraped each minute: selectors, and values in the notation of `promtool`.
        at: when, such as `1h`.
        firing: the labels of the alerts that must fire then, and no others.
        alert: a regular expression for the names of alerts that count.
    """
    expression = f'sort(count without (alertstate) (ALERTS{{alertname=~"{alert}",alertstate="firing"}}))'
    check(folder, rules, series, at, expression, [(labels, 1) for labels in firing])


def check(
    folder: Path,
    rules: str,
    series: Mapping[str, str],
    at: str,
    expression: str,
    expected: Sequence[tuple[Mapping[str, str], float]],
) -> None:
    """Have `promtool` check what an expression evaluates to: labels and values."""
    (folder / "rules.yml").write_text(rules)
    samples = [{"labels": _selector(labels), "value": value} for labels, value in expected]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": at, "exp_samples": samples}],
    }
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yml").write_text(json.dumps(whole))
    run_promtool("test", "rules", folder / "test.yml")


def _selector(labels: Mapping[str, str]) -> str:
    return "{" + ",".join([f"{key}={json.dumps(value)}" for key, value in labels.items()]) + "}"
