"""`TextFile`: a file that is whole at any moment, and leaves nothing beside it; and node_exporter, which reads it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from golden_file import golden
from one_report import body, send
from program import Program, ask, require_program
from prometheus_client.parser import text_string_to_metric_families
from prometheus_server import free_port

import tallymark as tm
from everything import everything, family, tags
from tallymark.backends import TextFile
from tallymark.client.deadline import Deadline
from tallymark.report.errors import SendError


def gauge(value: float) -> tm.Snapshot:
    return tm.Snapshot((family("g", "gauge", tm.GaugeData(tags({}), (0.0,), (value,))),), 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.prom"


def test_the_bytes_are_these(path: Path) -> None:
    made = body(TextFile(path, prefix="app.", tags={"host": "h"}), everything())
    assert made == golden("text-file.prom", made)
    assert all(one.name.startswith("app_") for one in text_string_to_metric_families(made.decode()))


def test_each_report_replaces_the_one_before(path: Path) -> None:
    backend = TextFile(path)
    for value in (1.0, 2.0):
        assert send(backend, gauge(value)) == path.stat().st_size
        assert path.read_text() == f"# TYPE g gauge\ng {value}\n"
    send(backend, tm.Snapshot((), 1.0))
    assert path.read_text() == "\n"
    assert os.listdir(path.parent) == [path.name]


def test_a_new_file_can_be_read_by_all_that_the_umask_allows(path: Path) -> None:
    before = os.umask(0o026)
    try:
        send(TextFile(path), gauge(1.0))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_mode_and_owner_stay(path: Path) -> None:
    path.touch()
    path.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    before = path.stat()
    send(TextFile(path), gauge(1.0))
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_who_may_not_read_the_file_may_not_read_what_replaces_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    path.chmod(0o600)
    seen: list[int] = []

    def look(file: int, *rest: Any) -> Any:
        seen.append(stat.S_IMODE(os.fstat(file).st_mode))
        return untouched[len(rest)](file, *rest)

    untouched = {1: os.write, 2: os.fchown}
    monkeypatch.setattr(os, "write", look)
    monkeypatch.setattr(os, "fchown", look)
    send(TextFile(path), gauge(1.0))
    assert set(seen) == {0o600}


def test_an_owner_that_may_not_be_given_is_ours(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    path.chmod(0o640)

    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    send(TextFile(path), gauge(1.0))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_symbolic_link_stays_and_what_it_leads_to_is_replaced(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path.symlink_to(tmp_path / "elsewhere" / "real.prom")
    send(TextFile(path), gauge(1.0))
    assert path.is_symlink()
    assert "g 1.0" in (tmp_path / "elsewhere" / "real.prom").read_text()
    assert os.listdir(tmp_path / "elsewhere") == ["real.prom"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_on_a_full_disk_the_old_content_stays_and_nothing_else(path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = TextFile(path)
    send(backend, gauge(1.0))
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(SendError, match=r"service\.prom cannot be written: No space left on device") as info:
            send(backend, gauge(2.0))
    assert info.value.again
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    send(backend, gauge(2.0))
    assert b"g 2.0" in path.read_bytes()


def test_a_folder_that_is_missing_is_told_and_used_when_it_is_there(tmp_path: Path) -> None:
    backend = TextFile(tmp_path / "later" / "a.prom")
    with pytest.raises(SendError, match=r"a\.prom cannot be written: No such file or directory") as info:
        send(backend, gauge(1.0))
    assert info.value.again
    (tmp_path / "later").mkdir()
    send(backend, gauge(1.0))
    assert os.listdir(tmp_path / "later") == ["a.prom"]


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(SendError, match="it is there, and is not a file"):
        send(TextFile(path), gauge(1.0))
    assert os.listdir(path.parent) == [path.name]


def test_what_a_killed_writer_left_is_removed_and_what_a_live_one_writes_is_not(path: Path) -> None:
    import fcntl

    left, live = path.parent / ".service.prom.0123.tmp", path.parent / ".service.prom.4567.tmp"
    other = path.parent / ".other.prom.0123.tmp"
    for one in (left, live, other):
        one.touch()
    with live.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        send(TextFile(path), gauge(1.0))
    assert {one.name for one in path.parent.iterdir()} == {path.name, live.name, other.name}


def test_the_deadline_is_kept(path: Path) -> None:
    clock = iter([0.0, 9.0])
    with pytest.raises(SendError, match="not written in time"):
        TextFile(path).send([b"g 1\n"], Deadline(5.0, lambda: next(clock)))
    assert os.listdir(path.parent) == []


def test_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in '\.prom'"):
        TextFile(tmp_path / "metrics.txt")
    with pytest.raises(ValueError, match=r"no file can be called '.*a.x00b.prom'"):
        TextFile(tmp_path / "a\0b.prom")
    with pytest.raises(TypeError, match="must be a str or a Path, not int"):
        TextFile(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no metric's name can begin with the prefix 'ä'"):
        TextFile(tmp_path / "a.prom", prefix="ä")
    with pytest.raises(tm.TagError):
        TextFile(tmp_path / "a.prom", tags={"a b": "c"})


WRITER = (
    "import sys, time, tallymark as tm\n"
    "from tallymark.backends import TextFile\n"
    "from tallymark.client.deadline import Deadline\n"
    "registry = tm.Registry(self_metrics=False)\n"
    "count = registry.counter('c')\n"
    "backend = TextFile(sys.argv[1])\n"
    "while True:\n"
    "    for i in range(900): count.inc(i=str(i))\n"
    "    backend.send(list(backend.encode(registry.snapshot(), 0.0)), Deadline(5.0, time.monotonic))\n"
)


@pytest.mark.slow
def test_readers_see_whole_reports_while_writers_are_killed_and_nothing_piles_up(path: Path) -> None:
    torn: list[set[str]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            values = {line.rpartition(" ")[2] for line in path.read_text().splitlines()[1:]} if path.exists() else {"1"}
            if len(values) != 1:
                torn.append(values)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(4):
            before = path.stat().st_ino if path.exists() else 0
            with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as process:
                deadline = time.monotonic() + 30
                while not path.exists() or path.stat().st_ino == before:
                    assert time.monotonic() < deadline
                process.send_signal(signal.SIGKILL)
    finally:
        done.set()
        reader.join()
    assert torn == []
    send(TextFile(path), gauge(1.0))
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.server
@pytest.mark.slow
def test_node_exporter_shows_what_was_recorded(tmp_path: Path, registry: tm.Registry) -> None:
    folder = tmp_path / "textfile"
    folder.mkdir()
    url = f"127.0.0.1:{free_port()}"
    program = Program(
        [
            require_program("prometheus-node-exporter", "node_exporter"),
            "--collector.disable-defaults", "--collector.textfile",
            f"--collector.textfile.directory={folder}", f"--web.listen-address={url}",
        ],
        tmp_path,
    )  # fmt: skip
    registry.counter("http.requests", description="Requests.").inc(3, **{"http.route": 'a"b\\c\nd'})
    registry.timer("took", buckets=[0.1, 1]).record(0.5)
    registry.gauge("odd").set(float("nan"))
    backend = TextFile(folder / "service.prom", prefix="app.", tags={"service": "s"})
    send(backend, registry.snapshot())

    def shown() -> dict[tuple[Any, ...], float]:
        text = program.wait(lambda: ask(f"http://{url}/metrics"), "node_exporter answers")
        samples = [sample for one in text_string_to_metric_families(text) for sample in one.samples]
        return {
            (sample.name, *sample.labels.values()): sample.value for sample in samples if sample.name[:4] in ("app_", "node")
        }

    program.start()
    try:
        found = shown()
        assert found["node_textfile_scrape_error",] == 0
        assert found["app_http_requests_total", 'a"b\\c\nd', "s"] == 3
        assert found["app_took_seconds_bucket", "s", "1"] == 1
        assert found["app_odd", "s"] != found["app_odd", "s"]
        registry.counter("http.requests").inc(4, **{"http.route": 'a"b\\c\nd'})
        program.kill()
        send(backend, registry.snapshot())  # whether it runs or not
        program.start()
        assert shown()["app_http_requests_total", 'a"b\\c\nd', "s"] == 7
    finally:
        program.kill()
