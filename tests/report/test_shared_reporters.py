"""Of the processes that share a registry one reports, and another takes over; deltas go on where the last one ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recording_backend import RecordingBackend

import tallymark as tm
from tallymark.engine.lock import has_gil
from tallymark.report.base_record import RecordWriter, read_record
from tallymark.report.base_store import MemoryStore
from tallymark.report.errors import SendError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or not has_gil(), reason="registries share on Linux alone")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


def poll(is_so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def backends() -> list[RecordingBackend]:
    return [RecordingBackend("delta", name="one place") for _ in range(3)]


def records(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.reported"))


@pytest.mark.slow
def test_one_reports_and_another_takes_over(path: Path, backends: list[RecordingBackend]) -> None:
    registries = [tm.Registry(shared=path) for _ in backends]
    reporters = [tm.report_to(backend, 60, registry) for backend, registry in zip(backends, registries, strict=True)]
    assert reporters[0].report() is True
    poll(lambda: reporters[0].is_reporting, "one reports")
    assert [reporter.report() for reporter in reporters] == [True, False, False]
    for number, registry in enumerate(registries):
        registry.counter("jobs").inc(10**number)
        registry.histogram("sizes", buckets=[1, 2]).observe(number)
        registry.histogram("spans", exponential=True).observe(number)
    assert reporters[0].report() is True
    assert backends[0].total("jobs") == 111
    registries[1].counter("jobs").inc(5000)
    reporters[0].close()
    poll(lambda: any(reporter.is_reporting for reporter in reporters[1:]), "another takes over")
    registries[2].counter("jobs").inc(80000)
    assert sorted(reporter.report() for reporter in reporters[1:]) == [False, True]
    assert sum(backend.total("jobs") for backend in backends) == 85111
    assert sum(backend.total("sizes") for backend in backends) == 3
    assert sum(backend.total("spans") for backend in backends) == 3
    for reporter in reporters:
        reporter.close()


def test_reporters_that_tell_different_metrics_or_places_report_at_the_same_time(path: Path) -> None:
    registry = tm.Registry(shared=path)
    registry.counter("jobs").inc()
    different = [
        RecordingBackend(), RecordingBackend(name="there"), RecordingBackend(prefix="x"), RecordingBackend(include=["jobs"]),
    ]  # fmt: skip
    reporters = [tm.report_to(backend, 60, registry) for backend in different]
    assert [reporter.report() for reporter in reporters] == [True] * 4
    for reporter in reporters:
        reporter.close()


def test_a_service_that_starts_again_on_its_file_reports_what_is_new(path: Path, backends: list[RecordingBackend]) -> None:
    for number, backend in enumerate(backends, 1):
        with tm.Registry(shared=path) as registry, tm.report_to(backend, 60, registry):
            registry.counter("jobs").inc(number)
    assert [backend.total("jobs") for backend in backends] == [1, 2, 3]
    with tm.Registry(shared=path, fresh=True) as registry, tm.report_to(backends[0], 60, registry):
        registry.counter("jobs").inc(7)
    assert backends[0].total("jobs") == 8


def test_what_did_not_arrive_is_reported_by_the_next(path: Path, backends: list[RecordingBackend]) -> None:
    def fail(body: bytes) -> None:
        raise SendError("it is down")

    registry, other = tm.Registry(shared=path), tm.Registry(shared=path)
    jobs = registry.counter("jobs")
    reporter = tm.report_to(backends[0], 60, registry)
    jobs.inc(1)
    assert reporter.report() is True
    backends[0].before = fail
    jobs.inc(2)
    assert reporter.report() is False
    jobs.inc(4)
    reporter.close()
    with tm.report_to(backends[1], 60, other) as second:
        assert second.report() is True
    assert (backends[0].total("jobs"), backends[1].total("jobs")) == (1, 6)


def test_a_backend_that_does_not_answer_is_told_nothing_twice(path: Path, backends: list[RecordingBackend]) -> None:
    def fail(body: bytes) -> None:
        raise SendError("it is down")

    for backend in backends:
        backend.at_least_once = False  # type: ignore[misc]
    backends[0].after = fail  # it may have arrived
    for backend in backends:
        with tm.Registry(shared=path) as registry, tm.report_to(backend, 60, registry):
            registry.counter("jobs").inc(1)
    assert [backend.total("jobs") for backend in backends] == [1, 1, 1]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda record: record.write_bytes(b""),
    "cut": lambda record: record.write_bytes(record.read_bytes()[:-20]),
    "garbage": lambda record: record.write_bytes(b"\xff" * 1000),
    "a bit": lambda record: record.write_bytes(bytes([*record.read_bytes()[:-9], 1, *record.read_bytes()[-8:]])),
    "a directory": lambda record: (record.unlink(), record.mkdir()),
    "a link": lambda record: (record.unlink(), record.symlink_to("/etc/passwd")),
    "a pipe": lambda record: (record.unlink(), os.mkfifo(record)),
}


@pytest.mark.parametrize("at_least_once", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_record_that_is_damaged_is_not_believed(
    damage: str, at_least_once: bool, path: Path, backends: list[RecordingBackend], caplog: pytest.LogCaptureFixture
) -> None:
    for backend in backends:
        backend.at_least_once = at_least_once  # type: ignore[misc]
    with tm.Registry(shared=path) as registry, tm.report_to(backends[0], 60, registry):
        registry.counter("jobs").inc(1)
    [record] = records(path)
    DAMAGES[damage](record)
    with tm.Registry(shared=path) as registry, tm.report_to(backends[1], 60, registry) as reporter:
        assert reporter.report() is True
        registry.counter("jobs").inc(2)
    assert backends[1].total("jobs") == (3 if at_least_once else 2)
    assert "recording one place: what it was told before cannot be read: " in caplog.text


def test_a_record_that_is_missing_means_that_nothing_was_told(path: Path, backends: list[RecordingBackend]) -> None:
    registry = tm.Registry(shared=path)
    registry.counter("jobs").inc(5)
    with tm.report_to(backends[0], 60, registry) as reporter:
        assert reporter.report() is True
    assert backends[0].total("jobs") == 5


def test_a_record_that_cannot_be_written_is_logged_once(
    path: Path, backends: list[RecordingBackend], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", full)
    registry = tm.Registry(shared=path)
    with tm.report_to(backends[0], 60, registry) as reporter:
        for _ in range(3):
            registry.counter("jobs").inc()
            assert reporter.report() is True
    assert caplog.text.count("what it was told cannot be kept: [Errno 28] No space left on device") == 1
    assert backends[0].total("jobs") == 3
    assert [one.name for one in path.parent.iterdir()] == ["metrics"]


def test_the_record_is_for_this_user_alone(path: Path, backends: list[RecordingBackend]) -> None:
    registry = tm.Registry(shared=path)
    registry.counter("jobs").inc()
    tm.report_to(backends[0], 60, registry).close()
    [record] = records(path)
    assert record.stat().st_mode & 0o777 == 0o600


def full_snapshot() -> tm.Snapshot:
    registry = tm.Registry(engine="native")
    for number in range(20):
        registry.counter("jobs").inc(number, tag=f"é{number}")
        registry.histogram("sizes", buckets=[1, 2.5]).observe(number, tag=str(number))
        registry.histogram("spans", exponential=True).observe(number - 5, tag=str(number % 3))
    registry.gauge("queue").set(4)
    return registry.snapshot()


def test_a_record_tells_what_it_was_made_of() -> None:
    snapshot = full_snapshot()
    writer = RecordWriter()
    for _ in range(2):
        read = read_record(writer.write(snapshot), tm.TagSet)
        assert read.time == snapshot.time
        assert [family.name for family in read.families] == ["jobs", "sizes", "spans"]
        for family in read.families:
            assert {row.value if row.kind == "counter" else row.count for row in tm.delta(read, snapshot)[family.name]} == {0}
            assert family.data.created == snapshot[family.name].data.created


def test_no_record_is_believed_in_part() -> None:
    import random
    import zlib

    snapshot = full_snapshot()
    record = RecordWriter().write(snapshot)
    chance = random.Random(1)
    for _ in range(300):
        body = bytearray(record[:-4])
        for _ in range(chance.randrange(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        changed = bytes(body[: chance.randrange(len(body))] if chance.random() < 0.2 else body)
        try:  # with a checksum that fits, as a hostile writer would make one
            read = read_record(changed + zlib.crc32(changed).to_bytes(4, sys.byteorder), tm.TagSet)
        except ValueError:
            continue
        assert all(len(family.data.tags) == len(family.data.created) for family in read.families)
        tm.delta(read, snapshot)


def test_memory_that_is_inherited_keeps_the_last_record() -> None:
    store = MemoryStore()
    assert store.read() is None
    for record in (b"one", b"two, longer", b"3"):
        store.write(record)
        assert store.read() == record


KILLED = """
import os, signal, sys, time
sys.path.insert(0, {here!r})
import tallymark as tm
from http_backend import HTTPBackend, total
from failing_server import failing_server
from test_shared_reporters import poll

def reporting(children, server):
    # which of the children is connected to the server
    for pid in children:
        for fd in os.listdir(f"/proc/{{pid}}/fd"):
            try:
                socket_of = os.readlink(f"/proc/{{pid}}/fd/{{fd}}")
            except OSError:
                continue
            if socket_of.startswith("socket:") and socket_of[8:-1] in connected(server.port):
                return pid
    raise LookupError("none is")

def connected(port):
    rows = [line.split() for line in open("/proc/net/tcp")]
    return {{row[9] for row in rows if row[2].endswith(f":{{port:04X}}") and row[3] == "01"}}

registry = tm.Registry(shared={shared})
jobs = registry.counter("jobs")
with failing_server() as server:
    reporter = tm.report_to(HTTPBackend(server.url), 0.05, registry)
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            while True:
                time.sleep(1)
        children.append(pid)
    jobs.inc(3)
    assert reporter.flush(10)
    reporter.close()
    try:
        for number in range(2):
            jobs.inc(10)
            poll(lambda: total(server.taken, "jobs") == jobs.value, "one takes over")
            time.sleep(0.1)  # until it has kept what it told
            holder = reporting(children, server)
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
            children.remove(holder)
        print(total(server.taken, "jobs"), jobs.value)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["True", "path"])
def test_a_child_takes_over_and_goes_on_where_its_parent_ended(shared: str, path: Path) -> None:
    program = KILLED.format(here=str(Path(__file__).parent), shared="True" if shared == "True" else repr(str(path)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["23.0", "23.0"]
