"""`tallymark dashboards` and `tallymark rules`, as they are typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from grafana_service import http, operations

import tallymark as tm
from tallymark import cli


@pytest.fixture
def shared(tmp_path: Path) -> str:
    """The path of a file that processes share."""
    path = tmp_path / "metrics"
    registry = tm.Registry(shared=path)
    http(registry)
    operations(registry)
    return str(path)


def run(*arguments: str) -> int:
    """Run the command; return its exit status."""
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return int(error.code or 0)


def test_dashboards_are_files_with_their_uids_as_names(shared: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "folder"
    assert run("dashboards", shared, "--output", str(folder), "--objective", "99.9", "--latency", "0.5") == 0
    written = sorted(folder.iterdir())
    assert sorted(capsys.readouterr().out.split()) == [str(path) for path in written]
    assert {path.stem: json.loads(path.read_text())["title"] for path in written} == {
        "tallymark-http": "HTTP server", "tallymark-operations": "Operations", "tallymark-runtime": "Runtime"
    }  # fmt: skip


def test_rules_go_to_standard_output_or_to_a_file(shared: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["rules", shared, "--objective", "99.9", "--window", "4w", "--latency", "0.5:99", "--selector", 'job="api"']
    assert run(*given) == 0
    told = capsys.readouterr().out
    assert run(*given, "--output", str(tmp_path / "rules.yml")) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "rules.yml").read_text() == told
    assert {group["name"] for group in yaml.safe_load(told)["groups"]} >= {"tallymark-http", "tallymark-operations-budget"}
    assert list(tmp_path.glob(".*")) == []


def test_the_text_is_the_one_of_an_endpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    registry = tm.Registry()
    http(registry)
    with tm.serve(0, registry=registry, auth=tm.BearerAuth("secret")) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert run("rules", url, "--objective", "99.9", "--bearer", "secret") == 0
        plain = capsys.readouterr().out
        given = ["--bearer", "secret", "--escaping", "allow-utf-8"]
        assert run("rules", url, "--objective", "99.9", *given) == 0
        dotted = capsys.readouterr().out
    assert "http_server_request_duration_seconds_count[5m]" in plain
    assert '{"http.server.request.duration_seconds_count","http.response.status_code"=~"5.."}' in dotted


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--objective", "100"], 2, "argument --objective: objective 100 leaves no budget for errors; give a percentage"),
        (["--objective", "0"], 2, "argument --objective: objective 0 asks for nothing; give a percentage above 0"),
        (["--objective", "99", "--window", "1y"], 2, "argument --window: window '1y' is not one; give days or weeks"),
        (["--objective", "99", "--latency", "fast"], 2, "argument --latency: latency 'fast' is not a number of seconds"),
        (["--objective", "99", "--latency", "0.5:100"], 2, "argument --latency: objective 100 leaves no budget"),
        (["--objective", "99", "--latency", "0.3"], 1, "latency 0.3 is no bound of the buckets of http_server_request"),
        (["--objective", "99", "--selector", "job=api"], 2, "argument --selector: selector 'job=api': cannot be read"),
        (["--objective", "99", "--only", "celery"], 1, "has no celery_task_duration_seconds with the tag task"),
        (["--objective", "99", "--header", "secret"], 1, "--header takes a name and a value"),
        (["--objective", "99", "--escaping", "none"], 2, "argument --escaping: invalid choice: 'none'"),
        ([], 2, "the following arguments are required: --objective"),
    ],
    ids=[
        "no budget", "nothing", "window", "latency", "latency's budget", "no bound", "selector", "no such metrics", "header",
        "escaping", "no objective",
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_tells_the_remedy(
    arguments: list[str], status: int, message: str, shared: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rules", shared, *arguments) == status
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("tallymark rules: ")
    assert message in told[-1]
    assert len(told) == 1 or status == 2  # argparse shows the usage first


def test_a_label_that_nobody_has_is_told(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rules", shared, "--objective", "99.9", "--only", "http", "--by", "job,route") == 0
    told = capsys.readouterr().err
    assert "tallymark rules: by 'route': http_server_request_duration_seconds has no such label" in told
    assert "http_route" in told
    assert "'job'" not in told  # of Prometheus
    assert run("rules", shared, "--objective", "99.9", "--only", "http", "--by", "job,instance,http.route") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["rules", "dashboards"])
@pytest.mark.parametrize(
    ("source", "message"),
    [("/no/such/file", "/no/such/file: no such file"), ("http://127.0.0.1:1/metrics", "cannot be reached")],
    ids=["file", "endpoint"],
)
def test_a_source_that_cannot_be_read_is_one_line(
    command: str, source: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, source, "--objective", "99") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tallymark {command}: ")
    assert message in line


@pytest.mark.parametrize(
    ("command", "output", "path"), [("rules", "folder", "folder"), ("dashboards", "file", "file/tallymark-http.json")]
)
def test_what_cannot_be_written_is_one_line(
    command: str, output: str, path: str, shared: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert run(command, shared, "--objective", "99", "--only", "http", "--output", str(tmp_path / output)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tallymark {command}: {tmp_path / path} cannot be written: ")


def test_a_device_is_written_to_not_replaced(shared: str) -> None:
    assert run("rules", shared, "--objective", "99", "--output", "/dev/null") == 0
    assert not Path("/dev/null").is_file()


def test_a_latency_without_an_objective_is_told(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dashboards", shared, "--latency", "0.5") == 1
    assert "tallymark dashboards: --latency needs --objective" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "package", "distribution"),
    [("dashboards", "grafana_foundation_sdk", "grafana-foundation-sdk"), ("rules", "yaml", "pyyaml")],
)
def test_a_package_that_is_missing_is_told_with_the_extra(
    command: str,
    package: str,
    distribution: str,
    shared: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package or name == "tallymark.grafana.dashboards"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert run(command, shared, "--objective", "99") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"tallymark {command}: {command} need the package {distribution}: pip install 'tallymark[grafana]'"


@pytest.mark.parametrize("command", ["dashboards", "rules"])
def test_what_reads_an_endpoint_is_told_with_the_extra_too(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    assert run(command, "localhost:9464", "--objective", "99") == 1
    assert "prometheus_client is needed to read it: pip install 'tallymark[grafana]'" in capsys.readouterr().err


def test_what_an_objective_is_too_low_for_is_noted_beside_the_rules(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rules", shared, "--objective", "90", "--only", "http") == 0
    told = capsys.readouterr()
    assert (
        told.err
        == "tallymark rules: HTTP server, 90% over 30d: no alert on 1h: not even an outage burns the budget that fast\n"
    )
    assert yaml.safe_load(told.out)
