"""`tallymark inspect PATH`: a file as text, JSON and Prometheus text. Nothing in it harms a terminal or a parser."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from tallymark.cli import main
from tallymark.engine import load_engine
from tallymark.engine.options import TagLimits
from tallymark.metric.shared.entry import SharedEntry
from tallymark.metric.shared.file import open_to_share

HOSTILE = 'a\nb\x1b[31m"c"\\\u202e\x9b😀'
LITTLE = TagLimits()


def shared_on(path: Path) -> tm.Registry:
    return tm.Registry(engine="native", shared=path)


def fill(path: Path) -> tm.Registry:
    registry = shared_on(path)
    registry.counter("requests", description="Requests.").inc(1234567, method="GET", status="200")
    registry.histogram("size", unit="bytes", buckets=[1, 2]).observe(2)
    registry.timer("wait", buckets=[1], tags={"empty": "yes"})
    registry.gauge("depth", aggregate="sum").set(4)
    registry.gauge("heat").set(math.nan)
    registry.gauge("heat").set(-math.inf, room="b")
    registry.info("build", version="1")
    registry.state("phase", ["up", "down"]).set("up")
    registry.counter("silent")
    return registry


@pytest.fixture
def inspect(path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Returns what the command prints for the file."""

    def run(*options: str) -> str:
        before = path.read_bytes()
        assert main(["inspect", *options, str(path)]) == 0
        assert path.read_bytes() == before
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return run


def exposed(path: Path) -> str:
    """What a registry on the file exposes."""
    registry = tm.Registry(engine="native", shared=path, self_metrics=False)
    return tm.render_prometheus(registry.snapshot()).decode()


def of_metric(text: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in json.loads(text)["metrics"] if one.get("name") == name]
    return dict(found)


# A small file


def test_text(path: Path, inspect: Any) -> None:
    registry = fill(path)
    said = inspect()
    del registry
    said = re.sub(r"[\d,]+ (of|bytes|on)", r"N \1", said).replace(str(os.getpid()), "PID")
    said = re.sub(r"since .*", "since THEN", said)
    wanted = f"""\
{path}
space: N of N bytes used, N on disk
processes: 1
  0: pid PID, since THEN
counter tallymark_rejected
counter requests
  {{method="GET",status="200"}} 1234567
histogram size in bytes
  {{}} count 1, sum 2
timer wait in seconds
  {{empty="yes"}} count 0, sum 0
gauge depth, sum over processes
  {{}} 4 (of process 0)
gauge heat
  {{}} nan
  {{room="b"}} -inf
info build_info
  {{version="1"}} 1
stateset phase
  {{state="up"}} 1
  {{state="down"}} 0
counter silent
"""
    assert said == wanted


def test_json(path: Path, inspect: Any) -> None:
    registry = fill(path)
    began = time.time()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    told = json.loads(inspect("--json"), parse_constant=refuse)
    del registry
    assert list(told) == ["path", "space", "processes", "metrics"]
    assert told["path"] == str(path)
    assert told["space"]["limit"] == 64 * 2**20
    assert list(told["space"]) == ["used", "size", "limit", "failed"]
    (process,) = told["processes"]
    assert (process["place"], process["pid"]) == (0, os.getpid())
    assert abs(process["since"] - began) < 60
    by_name = {one["name"]: one for one in told["metrics"]}
    (requests,) = by_name["requests"].pop("series")
    assert abs(requests.pop("created") - began) < 60
    assert requests == {
        "damaged": False, "tags": {"method": "GET", "status": "200"}, "process": None, "ended": False, "value": 1234567.0,
    }  # fmt: skip
    assert by_name["requests"].pop("offset") > 4096
    assert by_name["requests"] == {
        "damaged": False, "registered": True, "name": "requests", "kind": "counter", "unit": "", "description": "Requests.",
        "aggregate": "last",
    }  # fmt: skip
    assert by_name["size"]["bounds"] == [1.0, 2.0]
    (size,) = by_name["size"]["series"]
    assert {key: size[key] for key in list(size)[5:]} == {
        "count": 1, "sum": 2.0, "min": 2.0, "max": 2.0, "bucket_counts": [0, 1, 0],
    }  # fmt: skip
    assert by_name["wait"]["series"][0]["min"] == "NaN"
    assert by_name["depth"]["aggregate"] == "sum"
    assert by_name["depth"]["series"][0]["process"] == 0
    assert [one["value"] for one in by_name["heat"]["series"]] == ["NaN", "-Infinity"]
    assert by_name["silent"]["series"] == []


def test_prometheus_text_is_what_a_registry_exposes(path: Path, inspect: Any) -> None:
    registry = fill(path)
    said = inspect("--prometheus")
    assert said == exposed(path)
    found = {family.name: family.type for family in text_string_to_metric_families(said)}
    assert found["requests"] == "counter"
    assert found["wait_seconds"] == found["size_bytes"] == "histogram"
    assert "tallymark_rejected" not in found
    registry.counter("requests").inc(-1)
    assert 'tallymark_rejected_total{metric="requests",reason=' in inspect("--prometheus")
    del registry  # a sum without a process
    said = inspect("--prometheus")
    assert "depth" not in said
    assert said == exposed(path)


# What may be in one


@pytest.mark.parametrize(("aggregate", "alive", "after"), [("sum", 7, 4), ("max", 4, 4), ("min", 1, 1)])
def test_gauges_combine_over_the_processes_that_live(
    aggregate: str, alive: float, after: float, path: Path, children: Any, inspect: Any
) -> None:
    registry = shared_on(path)
    gauge = registry.gauge("depth", aggregate=aggregate)
    gauge.set(4, queue="a")
    ready = os.pipe()

    def work(number: float) -> None:
        gauge.set(number, queue="a")
        os.write(ready[1], b"x")
        time.sleep(60)

    pids = [children.start(lambda number=number: work(number)) for number in (1, 2)]
    for _ in pids:
        os.read(ready[0], 1)
    assert f'depth{{queue="a"}} {float(alive)}\n' in inspect("--prometheus")
    assert sorted(one["value"] for one in of_metric(inspect("--json"), "depth")["series"]) == [1, 2, 4]
    for pid in pids:
        children.kill(pid)
    said = inspect("--prometheus")  # before any registry takes note of their end
    assert f'depth{{queue="a"}} {float(after)}\n' in said
    assert inspect().count(", which ended)") == 2
    assert sorted(one["ended"] for one in of_metric(inspect("--json"), "depth")["series"]) == [False, True, True]
    assert said == exposed(path)
    assert (" (of processes that ended)" in inspect()) == (aggregate != "sum")


def test_unregistered_metrics_are_marked_and_not_exposed(path: Path, inspect: Any) -> None:
    registry = fill(path)
    registry.unregister("requests")
    assert "counter requests (unregistered)\n" in inspect()
    assert of_metric(inspect("--json"), "requests")["registered"] is False
    assert "requests" not in inspect("--prometheus")
    assert inspect("--prometheus") == exposed(path)


def test_a_damaged_entry_is_marked_and_hides_no_other(path: Path, inspect: Any) -> None:
    shared, _ = open_to_share(load_engine("native"), path, 64 * 2**20)
    offset = shared.add_family(b"broken\n[]", 1, 0)
    registry = fill(path)
    assert f"metric at {offset}: damaged\n" in inspect()
    assert "gauge heat\n" in inspect()
    assert {"damaged": True, "offset": offset, "registered": True} in json.loads(inspect("--json"))["metrics"]
    assert inspect("--prometheus") == exposed(path)
    del registry


@pytest.mark.parametrize(
    "bad_text", [b"\x03\0\0\0k\ny\x05\0\0\0value", b"\x03\0\0\0key\x05\0\0\0val\xffe"], ids=["key", "value"]
)
def test_a_damaged_series_is_marked(path: Path, inspect: Any, bad_text: bytes) -> None:
    registry = shared_on(path)
    registry.counter("n").inc(2, key="value")
    registry.counter("n").inc(key="good")
    engine_text = b"\x03\0\0\0key\x05\0\0\0value"
    (offset,) = [one["offset"] for one in json.loads(inspect("--json"))["metrics"] if one["name"] == "n"]
    whole = path.read_bytes()
    hashes = [(_hash(text) ^ offset * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") for text in (engine_text, bad_text)]
    assert whole.count(engine_text) == whole.count(hashes[0]) == 1
    path.write_bytes(whole.replace(engine_text, bad_text).replace(*hashes))
    assert "  {damaged} 2\n" in inspect()
    assert of_metric(inspect("--json"), "n")["series"][0]["tags"] is None
    assert of_metric(inspect("--json"), "n")["series"][0]["damaged"] is True
    assert inspect("--prometheus") == '# TYPE n_total counter\nn_total{key="good"} 1.0\n' == exposed(path)


def _hash(text: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def fill_with_hostile_texts(path: Path) -> tm.Registry:
    registry = shared_on(path)
    registry.counter("n").inc(key=HOSTILE)
    entry = SharedEntry("\x1b[2J", "gauge", "\x1b\r\nunit", (), "last", "a\nb\ud800", None, LITTLE, None)
    assert registry._families.memory.shared.add_family(entry.write(), 1, 0)
    return registry


def test_hostile_texts_are_escaped(path: Path, inspect: Any) -> None:
    registry = fill_with_hostile_texts(path)
    said = inspect()
    assert r'  {key="a\nb\x1b[31m\"c\"\\\u202e\x9b😀"} 1' in said.split("\n")
    assert r"gauge \x1b[2J in \x1b\r\nunit" in said.split("\n")
    assert all(line.isprintable() for line in said.split("\n"))
    told = inspect("--json")
    assert told.isascii()
    assert of_metric(told, "n")["series"][0]["tags"] == {"key": HOSTILE}
    assert of_metric(told, "\x1b[2J")["description"] == "a\nb\ud800"
    (family,) = [one for one in text_string_to_metric_families(inspect("--prometheus")) if one.name == "n"]
    assert family.samples[0].labels == {"key": HOSTILE}
    assert inspect("--prometheus") == exposed(path)
    del registry


@pytest.mark.parametrize("option", [[], ["--json"], ["--prometheus"]])
def test_an_ascii_output_gets_escapes_and_prometheus_text_stays_utf_8(option: list[str], path: Path) -> None:
    registry = fill_with_hostile_texts(path)
    command = [sys.executable, "-m", "tallymark", "inspect", *option, str(path)]
    ran = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    del registry
    assert ran.stderr == b""
    if option == ["--prometheus"]:
        assert "😀".encode() in ran.stdout
    else:
        assert ran.stdout.isascii()
    if not option:
        assert rb'\x9b\U0001f600"} 1' in ran.stdout


@pytest.mark.parametrize("option", [[], ["--json"], ["--prometheus"]])
def test_a_terminal_gets_no_control_characters(option: list[str], path: Path) -> None:
    registry = fill_with_hostile_texts(path)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tallymark", "inspect", *option, str(path)]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "PYTHONIOENCODING": "utf-8"}) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65536)
            except OSError:  # it ended
                break
    os.close(ours)
    del registry
    assert process.returncode == 0
    assert b"key" in said
    assert all(one.isprintable() for one in said.decode().replace("\r\n", "\n").split("\n"))
