"""Files that processes share, of processes that live and of some that do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tallymark as tm
from tallymark.read import ReadError, open_source

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is shared on Linux alone")

RECORD = """
import sys, tallymark as tm
registry = tm.Registry(shared=sys.argv[1])
registry.counter("http.hits").inc(5, route="/")
registry.timer("wait").record(0.5)
registry.gauge("workers", aggregate="sum").set(1)
"""


def record(path: Path) -> None:
    subprocess.run([sys.executable, "-c", RECORD, str(path)], check=True)


def test_a_file_of_a_process_that_ended(tmp_path: Path) -> None:
    record(tmp_path / "shared")
    with open_source(tmp_path / "shared") as source:
        snapshot = source.snapshot()
        assert source.name == str(tmp_path / "shared")
        assert source.processes == ()
    assert snapshot["http.hits"].exposition_name == "http_hits_total"
    assert next(iter(snapshot["http.hits"])).value == 5
    assert next(iter(snapshot["wait"])).histogram.count == 1


def test_a_file_of_a_living_process_and_one_that_ended(tmp_path: Path) -> None:
    registry = tm.Registry(shared=tmp_path / "shared")
    registry.counter("http.hits").inc(2, route="/")
    registry.gauge("workers", aggregate="sum").set(1)
    record(tmp_path / "shared")
    with open_source(str(tmp_path / "shared")) as source:
        snapshot = source.snapshot()
        assert [process.pid for process in source.processes] == [os.getpid()]
        assert next(iter(snapshot["http.hits"])).value == 7
        assert next(iter(snapshot["workers"])).value == 1
        registry.counter("http.hits").inc(route="/")
        assert next(iter(source.snapshot()["http.hits"])).value == 8


def test_a_file_that_is_removed_meanwhile(tmp_path: Path) -> None:
    record(tmp_path / "shared")
    with open_source(tmp_path / "shared") as source:
        source.snapshot()
        (tmp_path / "shared").unlink()
        with pytest.raises(ReadError, match="shared"):
            source.snapshot()


def test_a_name_that_looks_like_a_host_is_the_file_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record(Path("localhost:9464"))
    with open_source("localhost:9464") as source:
        assert "http.hits" in source.snapshot()
