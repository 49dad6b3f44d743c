"""`tm.configure()`: starts what the environment asks for, names what it does not understand, and never shows a secret."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.configuration.opentelemetry_variables import OPENTELEMETRY_VARIABLES
from tallymark.configuration.variables import VARIABLES

SECRET = "hunter2"
PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def page(server: tm.Server | None, **headers: str) -> str:
    assert server is not None
    with urllib.request.urlopen(urllib.request.Request(server.url, headers=headers), timeout=10) as answer:
        return str(answer.read().decode())


def test_nothing_is_started_where_nothing_is_asked_for(configured: Any, registry: tm.Registry) -> None:
    found = configured(PATH="/bin", OTEL_SERVICE_NAME="shop")
    assert (found.server, found.reporters, found.started, found.problems) == (None, (), (), ())
    assert repr(found) == "<Configuration: nothing was asked for>"
    assert registry.snapshot().families == ()


def test_what_is_asked_for_is_started_and_told(
    configured: Any, registry: tm.Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.counter("hits").inc(5)
    with caplog.at_level(logging.INFO, logger="tallymark"):
        found = configured(
            TALLYMARK_SERVE="127.0.0.1:0", TALLYMARK_REPORT=f"textfile://{tmp_path}/x.prom, jsonl://{tmp_path}/x?every=7",
            TALLYMARK_REPORT_EVERY="33", TALLYMARK_PROCESS_METRICS="yes", TALLYMARK_HOST_METRICS="1",
            TALLYMARK_TAGS="team=shop,zone=a",
        )  # fmt: skip
    assert found.problems == ()
    assert [one.every for one in found.reporters] == [33.0, 7.0]
    assert found.started == (
        "process metrics", "host metrics", f"serving {found.server.url}",
        f"reporting to text_file {tmp_path}/x.prom every 33 s", f"reporting to json_lines {tmp_path}/x every 7 s",
    )  # fmt: skip
    assert [one.getMessage() for one in caplog.records] == [f"tm.configure(): {'; '.join(found.started)}"]
    text = page(found.server)
    assert "hits_total 5.0" in text
    assert "process_cpu_seconds_total" in text
    assert "host_info{" in text
    found.close()
    assert 'hits_total{team="shop",zone="a"} 5.0' in (tmp_path / "x.prom").read_text()
    rows = [json.loads(line) for line in (tmp_path / "x").read_text().splitlines()]
    assert [one["tags"] for one in rows if one["metric"] == "hits"] == [{"team": "shop", "zone": "a"}]


def test_called_twice_it_is_the_same_and_starts_nothing(configured: Any, registry: tm.Registry, tmp_path: Path) -> None:
    first = configured(TALLYMARK_SERVE=":0", TALLYMARK_REPORT=f"jsonl://{tmp_path}/x")
    threads = threading.active_count()
    assert configured(TALLYMARK_SERVE=":0", TALLYMARK_REPORT=f"jsonl://{tmp_path}/y") is first
    assert threading.active_count() == threads
    with tm.use(registry):
        assert tm.configure() is first
    first.close()
    first.close()
    again = configured(TALLYMARK_SERVE=":0")
    assert again is not first
    assert "tallymark" in page(again.server)


def test_closing_the_registry_closes_what_was_started(configured: Any, registry: tm.Registry) -> None:
    first = configured(TALLYMARK_SERVE=":0")
    registry.close()
    with pytest.raises(urllib.error.URLError):
        page(first.server)
    assert configured(TALLYMARK_SERVE=":0") is not first


def test_threads_that_call_it_at_once_start_one(registry: tm.Registry) -> None:
    barrier, found = threading.Barrier(4), []

    def configure() -> None:
        barrier.wait()
        found.append(tm.configure(registry, environ={"TALLYMARK_SERVE": ":0"}))

    threads = [threading.Thread(target=configure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


# What is not understood


WRONG = {
    ("TALLYMARK_SERV", ":0"): r"TALLYMARK_SERV is not known \(did you mean TALLYMARK_SERVE\?\); there are TALLYMARK_SERVE, ",
    ("TALLYMARK_SERVE", "nowhere"): "TALLYMARK_SERVE is 'nowhere', but takes HOST:PORT",
    ("TALLYMARK_SERVE", ":99999"): "TALLYMARK_SERVE is ':99999', but takes HOST:PORT",
    ("TALLYMARK_REPORT", "stasd://h"): "TALLYMARK_REPORT: no backend is called 'stasd'",
    ("TALLYMARK_REPORT_EVERY", "often"): "TALLYMARK_REPORT_EVERY is 'often', but takes a number of seconds",
    ("TALLYMARK_TAGS", "a"): "TALLYMARK_TAGS is 'a', but takes KEY=VALUE",
    ("TALLYMARK_HOST_TAGS", "maybe"): "TALLYMARK_HOST_TAGS is 'maybe', but takes true or false",
    ("TALLYMARK_SERVE_TOKEN", ""): "TALLYMARK_SERVE_TOKEN is empty",
    ("TALLYMARK_SERVE_TOKEN", "@/no/such/file"): "TALLYMARK_SERVE_TOKEN names a file that cannot be read: No such file",
    ("OTEL_METRICS_EXPORTER", "otpl"): r"OTEL_METRICS_EXPORTER has 'otpl' \(did you mean otlp\?\); there are otlp, prometheus",
    ("OTEL_SDK_DISABLED", "maybe"): "OTEL_SDK_DISABLED is 'maybe', but takes true or false; taken instead: false",
    ("OTEL_METRIC_EXPORT_INTERVAL", "1s"): "OTEL_METRIC_EXPORT_INTERVAL is '1s', but takes a whole number from 1",
}


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_what_is_not_understood_is_named_and_all_else_is_started(
    configured: Any, tmp_path: Path, name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    variables = {
        "TALLYMARK_REPORT": f"jsonl://{tmp_path}/x",
        "OTEL_METRICS_EXPORTER": "none",
        "TALLYMARK_PROCESS_METRICS": "on",
    }
    found = configured(**{**variables, name: value})
    assert "process metrics" in found.started
    [problem] = found.problems
    assert re.match(WRONG[name, value], problem)
    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.getMessage() == f"tm.configure(): {problem}"


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_where_that_is_asked_for_it_raises_and_starts_nothing(
    configured: Any, registry: tm.Registry, tmp_path: Path, name: str, value: str
) -> None:
    threads = threading.active_count()
    with pytest.raises(tm.ConfigurationError, match=WRONG[name, value]):
        configured(strict=True, **{"TALLYMARK_REPORT": f"jsonl://{tmp_path}/x", "TALLYMARK_PROCESS_METRICS": "on", name: value})
    assert threading.active_count() == threads
    assert registry.snapshot().families == ()
    assert configured().started == ()


@pytest.mark.parametrize(
    "variables",
    [
        {"TALLYMARK_SERVE_TOKEN": ""}, {"TALLYMARK_SERVE_TOKEN": "@/no/such/file"}, {"TALLYMARK_SERVE_TOKN": "x"},
        {"TALLYMARK_SERVE_USER": "name"}, {"TALLYMARK_SERVE_USER": "a:b", "TALLYMARK_SERVE_TOKEN": "c"},
        {"TALLYMARK_SERVE_CERT": "/no/such/file"}, {"TALLYMARK_SERVE_KEY": "/no/such/file"},
        {"TALLYMARK_SERVE_CERT": "/no/such/file", "TALLYMARK_SERVE_KEY": "/no/such/file"},
    ],
    ids=lambda one: "-".join(one),
)  # fmt: skip
def test_metrics_that_were_to_be_protected_are_not_served_without(configured: Any, variables: dict[str, str]) -> None:
    found = configured(TALLYMARK_SERVE=":0", **variables)
    assert found.server is None
    assert any("TALLYMARK_SERVE cannot be followed" in problem for problem in found.problems)


def test_a_port_that_is_taken_is_a_problem_and_no_error(configured: Any, registry: tm.Registry) -> None:
    with tm.serve(0, registry=tm.Registry()) as other:
        found = configured(TALLYMARK_SERVE=f":{other.port}", TALLYMARK_PROCESS_METRICS="1")
        assert found.server is None
        assert len(found.problems) == 1
        found.close()
        with pytest.raises(tm.ConfigurationError, match="TALLYMARK_SERVE cannot be followed"):
            configured(strict=True, TALLYMARK_SERVE=f":{other.port}")


def test_an_extra_that_is_missing_is_named(configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallymark import backends

    class Missing:
        def __init__(self, *places: Any, **options: Any) -> None:
            raise ImportError("pip install 'tallymark[x]'")

    monkeypatch.setitem(vars(backends), "RemoteWrite", Missing)
    found = configured(TALLYMARK_REPORT="remote-write+http://u:p@h/w?token=x")
    assert found.problems == ("TALLYMARK_REPORT: remote-write+http://h/w: pip install 'tallymark[x]'",)


def test_one_address_is_reported_to_once(configured: Any, tmp_path: Path) -> None:
    found = configured(TALLYMARK_REPORT=f"jsonl://{tmp_path}/x, jsonl://{tmp_path}/x?every=5")
    assert len(found.reporters) == 1
    assert found.problems == (f"json_lines {tmp_path}/x is asked for twice, and reported to once",)


def test_no_secret_is_shown(configured: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="tallymark"):
        found = configured(
            TALLYMARK_SERVE=":0", TALLYMARK_SERVE_USER=f"me:{SECRET}",
            TALLYMARK_REPORT=f"remote-write+http://me:{SECRET}@127.0.0.1:9/w, otlp+http://127.0.0.1:9?token={SECRET},"
                             f" remote-write+http://127.0.0.1:9?tokn={SECRET}",
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer {SECRET}",
        )  # fmt: skip
        found.close()
    assert len(found.problems) == 1
    assert SECRET not in f"{found!r}{found.started}{found.problems}{found.reporters}{caplog.text}"


def test_whoever_reads_gives_what_is_asked_for(configured: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    found = configured(TALLYMARK_SERVE=":0", TALLYMARK_SERVE_TOKEN=f"@{tmp_path}/token")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        page(found.server)
    page(found.server, Authorization=f"Bearer {SECRET}")


def test_certificates_are_served_with(configured: Any, tmp_path: Path) -> None:
    import trustme

    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    found = configured(TALLYMARK_SERVE=":0", TALLYMARK_SERVE_CERT=f"{tmp_path}/cert", TALLYMARK_SERVE_KEY=f"{tmp_path}/key")
    assert found.server.url.startswith("https://127.0.0.1:")


# OpenTelemetry's variables


def test_an_endpoint_alone_asks_for_otlp(configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere.invalid:9")
    found = configured(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_METRIC_EXPORT_INTERVAL="5000")
    assert found.started == ("reporting to otlp http://127.0.0.1:9/v1/metrics every 5 s",)
    assert configured(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") is found


def test_a_url_of_otlp_takes_the_rest_from_the_same_variables(configured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative")
    found = configured(TALLYMARK_REPORT="otlp+http://127.0.0.1:9", OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta")
    assert [reporter.backend.temporality for reporter in found.reporters] == ["delta"]


def test_an_address_that_both_kinds_of_variables_name_is_reported_to_once_and_is_no_problem(configured: Any) -> None:
    both = {"TALLYMARK_REPORT": "otlp+http://127.0.0.1:9?every=5", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    found = configured(strict=True, **both)
    assert found.started == ("reporting to otlp http://127.0.0.1:9/v1/metrics every 5 s",)
    assert found.problems == ()


def test_variables_of_otlp_that_cannot_be_used_are_problems_too(configured: Any, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}
    twice = {**wrong, "TALLYMARK_REPORT": "otlp+http://127.0.0.1:8"}
    with pytest.raises(
        tm.ConfigurationError, match="OTEL_EXPORTER_OTLP_TIMEOUT is '10s', but must be a number of milliseconds"
    ):
        configured(strict=True, **twice)
    caplog.clear()
    found = configured(**wrong)
    assert len(found.started) == 1
    (problem,) = found.problems
    assert problem.startswith("OTEL_EXPORTER_OTLP_TIMEOUT is '10s', but ")
    assert [message for message in caplog.messages if "TIMEOUT" in message] == [problem]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPONT", "http://h:4318", r"is not known \(did you mean OTEL_EXPORTER_OTLP_ENDPOINT\?\)"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADER", "a=b", r"is not known \(did you mean OTEL_EXPORTER_OTLP_METRICS_HEADERS\?\)"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
            r"is not read: say Registry\(exponential=True\)",
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram", None),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b", None),
        ("OTEL_EXPORTER_OTLP_MEMORY_MODE", "reusable_data", None),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", None),
    ],
)
def test_names_of_otlp_that_there_are_not_are_problems(configured: Any, name: str, value: str, words: str | None) -> None:
    found = configured(**{name: value})
    if words is None:
        assert found.problems == ()
        return
    (problem,) = found.problems
    assert re.fullmatch(f"{name} {words}.*", problem)


def test_the_sdk_that_is_disabled_asks_for_nothing(configured: Any, tmp_path: Path) -> None:
    found = configured(
        OTEL_SDK_DISABLED="TRUE", OTEL_METRICS_EXPORTER="otlp,prometheus", TALLYMARK_REPORT=f"jsonl://{tmp_path}/x"
    )
    assert found.started == (f"reporting to json_lines {tmp_path}/x every 10 s",)


def test_no_exporter_is_none(configured: Any) -> None:
    assert configured(OTEL_METRICS_EXPORTER="none", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9").started == ()


def test_the_exporter_for_prometheus_serves(configured: Any) -> None:
    with tm.serve(0, registry=tm.Registry()) as free:
        port = free.port
    found = configured(
        OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1", OTEL_EXPORTER_PROMETHEUS_PORT=str(port)
    )
    assert found.started == (f"serving http://127.0.0.1:{port}/metrics",)


def test_what_it_cannot_serve_is_told_of_the_variable_that_asked_for_it(configured: Any) -> None:
    (problem,) = configured(OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_HOST="nowhere.invalid").problems
    assert problem.startswith("OTEL_METRICS_EXPORTER: prometheus cannot be followed: ")


def test_our_own_variable_for_serving_wins(configured: Any) -> None:
    assert configured(OTEL_METRICS_EXPORTER="prometheus", TALLYMARK_SERVE="off").started == ()


def test_the_console_gets_lines_of_json(configured: Any, registry: tm.Registry, capsys: pytest.CaptureFixture[str]) -> None:
    registry.counter("hits").inc()
    found = configured(OTEL_METRICS_EXPORTER="console")
    assert found.reporters[0].every == 60.0
    found.close()
    assert '"metric":"hits"' in capsys.readouterr().out


def test_host_tags_are_on_reports_but_not_on_otlp(configured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "elsewhere")
    report = f"jsonl://{tmp_path}/x, otlp+http://127.0.0.1:9"
    found = configured(TALLYMARK_HOST_TAGS="true", TALLYMARK_TAGS="team=a", TALLYMARK_REPORT=report, ENVIRONMENT="staging")
    lines, otlp = found.reporters
    assert lines.backend.tags.items() >= {"team": "a", "environment": "staging"}.items()
    assert otlp.backend.tags == {"team": "a"}


# A service


@pytest.mark.slow
def test_a_service_is_wired_by_its_deployment_alone(tmp_path: Path) -> None:
    program = "import tallymark as tm\nhits = tm.counter('hits')\ntm.configure()\nhits.inc(5)\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "OTEL_"))}
    environment |= {"TALLYMARK_REPORT": f"textfile://{tmp_path}/x.prom"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    assert "hits_total 5.0" in (tmp_path / "x.prom").read_text()


@pytest.mark.slow
def test_a_forked_child_reports_what_it_records_and_finds_what_its_parent_started(tmp_path: Path) -> None:
    program = (
        "import os, sys, tallymark as tm\n"
        "hits = tm.counter('hits')\n"
        "started = tm.configure()\n"
        "if os.fork() == 0:\n"
        "    assert tm.configure() is started\n"
        "    hits.inc(3)\n"
        "    sys.exit()\n"
        "_, status = os.wait()\n"
        "hits.inc(5)\n"
        "sys.exit(status)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "OTEL_"))}
    environment |= {"TALLYMARK_REPORT": f"jsonl://{tmp_path}/x", "TALLYMARK_REPORT_EVERY": "60"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    rows = [json.loads(line) for line in (tmp_path / "x").read_text().splitlines()]
    assert [one["value"] for one in rows if one["metric"] == "hits"] == [3.0, 5.0]


def test_to_configure_nothing_imports_no_backend() -> None:
    program = (
        "import sys, tallymark as tm; tm.configure(environ={})\n"
        "print([name for name in sys.modules if name.startswith(('tallymark.backends.', 'tallymark.serve.server', 'asyncio'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "[]\n"


# The documentation


def test_the_documentation_has_all_variables() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for variable in VARIABLES:
        assert f"| `{variable.name}` | {variable.takes} | {variable.meaning} |\n" in text
    for name, meaning in OPENTELEMETRY_VARIABLES.items():
        assert f"| `{name}` | {meaning} |\n" in text


def test_the_documentation_has_all_backends() -> None:
    from tallymark.configuration.forms import FORMS

    text = PAGE.read_text(encoding="utf-8")
    common = set.intersection(*[set(form.options) for form in FORMS.values()])
    for form in FORMS.values():
        examples = ", ".join([f"`{one}`" for one in form.example.split(", ")])
        options = ", ".join([f"`{one}`" for one in sorted(set(form.options) - common)])
        assert re.search(rf"\| \[`{form.backend}`\]\([\w/-]+\.md\) {re.escape(f'| {examples} | {options} |')}\n", text)
    for option in common:
        assert f"`{option}`" in text
