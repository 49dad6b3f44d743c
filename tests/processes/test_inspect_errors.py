"""`tallymark inspect PATH` says in its own words what is wrong with a path, and never advises to remove what is not ours."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.cli import main
from tallymark.frozen import replace
from tallymark.metric.shared.contents import read_contents
from tallymark.metric.shared.header import FORMAT
from tallymark.metric.shared.inspect import json_text, snapshot_of, text_lines


def fill(path: Path) -> None:
    tm.Registry(engine="native", shared=path).counter("n").inc()


def refused(path: object, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["inspect", str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "emove" not in said.err
    return said.err.removeprefix("tallymark: ")


def test_a_missing_file_is_said_to_be_missing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(path, capsys) == f"{path}: there is no such file\n"
    assert refused("odd\n\x1b[31m", capsys) == "odd\\n\\x1b[31m: there is no such file\n"
    assert not path.exists()


@pytest.mark.parametrize("kind", ["directory", "fifo", "device", "empty", "short", "long"])
def test_what_registries_do_not_share_is_said_to_be_foreign(kind: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    match kind:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.write_text("root:x:0:0\n" * {"empty": 0, "short": 2, "long": 100_000}[kind])
    assert refused(path, capsys) == f"{path} is not a file that registries share\n"


RELEASES = f"Tallymark {tm.__version__}, format 99; this is Tallymark {tm.__version__}, format {FORMAT}"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda good: good[:100], "it is too short"),
        (lambda good: good[: len(good) // 2], "it was truncated, or its header is damaged"),
        (lambda good: good[:8] + b"\x63" + good[9:], f"another release of Tallymark made it: {RELEASES}"),
        (lambda good: good[:17] + bytes([good[17] ^ 1]) + good[18:], "its header is damaged"),
    ],
    ids=["short", "truncated", "newer", "damaged"],
)
def test_a_damaged_file_is_said_to_be_damaged(damage: Any, reason: str, path: Path, capsys: Any) -> None:
    fill(path)
    path.write_bytes(damage(path.read_bytes()))
    assert refused(path, capsys) == f"{path}: {reason}\n"


def test_who_may_not_read_a_file_is_told_so(path: Path, children: Any, capfd: pytest.CaptureFixture[str]) -> None:
    fill(path)
    path.chmod(0)
    path.parent.chmod(0o755)

    def work() -> None:
        os.chdir(path.parent)
        if os.geteuid() == 0:
            os.setuid(12345)
        assert main(["inspect", path.name]) == 1

    assert children.run(work) == 0
    assert capfd.readouterr().err == "tallymark: metrics: this user may not read it\n"


def test_a_platform_that_cannot_read_such_a_file_is_told_so(path: Path, monkeypatch: Any, capsys: Any) -> None:
    fill(path)

    def fail(name: str) -> None:
        raise ImportError("the native engine cannot be loaded")

    monkeypatch.setattr("tallymark.metric.shared.contents.load_engine", fail)
    assert refused(path, capsys) == f"{path}: the native engine cannot be loaded\n"


def test_the_forms_exclude_each_other(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "--json", "--prometheus", str(path)])
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(("foreign", "advice"), [(True, "Choose another path"), (False, "Remove it if no process uses it")])
def test_a_registry_advises_to_remove_its_own_kind_of_file_alone(foreign: bool, advice: str, path: Path) -> None:
    fill(path)
    good = path.read_bytes()
    path.write_bytes(b"root:x:0:0\n" * 100_000 if foreign else good[: len(good) // 2])
    with pytest.raises(tm.SharedFileError, match=advice) as caught:
        fill(path)
    assert foreign != ("emove" in str(caught.value))


def test_values_that_do_not_fit_their_metric_are_said_to_be_damaged(path: Path) -> None:
    """The engine reads none such from a file: this is for what it may come to read."""
    fill(path)
    contents = read_contents(path)
    *others, family = contents.families
    damaged = replace(family, series=tuple([series.__replace__(value=None) for series in family.series]))
    contents = replace(contents, families=(*others, damaged))
    assert list(text_lines(contents))[-2:] == ["counter n", "  {} damaged"]
    (series,) = json.loads(json_text(contents))["metrics"][-1]["series"]
    assert list(series) == ["damaged", "tags", "process", "ended", "created"]
    assert series["damaged"] is True
    assert "n" not in snapshot_of(contents)
