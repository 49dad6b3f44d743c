"""Files from outside are checked before use. Whatever is in one, nothing crashes, and nothing is overwritten."""

from __future__ import annotations

import errno
import logging
import mmap
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from layout import PLACES, SIZE, USED, VERSION, with_number

import tallymark as tm
from tallymark.engine import load_engine
from tallymark.metric.shared.file import open_to_read


def fill(path: Path) -> bytes:
    registry = tm.Registry(engine="native", shared=path)
    registry.counter("requests", description="Requests.").inc(3, method="GET", status="200")
    registry.counter("requests").inc(method="POST")
    registry.counter("requests").with_tags(method="POST").remove()
    registry.histogram("size", unit="bytes", buckets=[1, 2, 3]).observe(2)
    registry.gauge("depth", aggregate="sum").set(4)
    return path.read_bytes()


DAMAGES = {
    "zero-length": (lambda good: b"", "not a file that registries share"),
    "short": (lambda good: good[:100], "too short"),
    "truncated": (lambda good: good[: len(good) // 2], "was truncated"),
    "foreign": (lambda good: b"#!/bin/sh\necho hello\n" * 20_000, "not a file that registries share"),
    "newer": (lambda good: with_number(good, VERSION, 99), "another release"),
    "flipped": (lambda good: good[:17] + bytes([good[17] ^ 1]) + good[18:], "header is damaged"),
    "sizes": (lambda good: with_number(good, SIZE, 2**60), "was truncated"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_used_is_rejected_and_left_alone(damage: str, path: Path) -> None:
    make, reason = DAMAGES[damage]
    bad = make(fill(path))
    path.write_bytes(bad)
    with pytest.raises(tm.SharedFileError, match=reason) as caught:
        tm.Registry(engine="native", shared=path)
    assert str(path) in str(caught.value)
    assert "another path" in str(caught.value)
    assert path.read_bytes() == bad
    with pytest.raises(tm.SharedFileError, match=reason):
        open_to_read(load_engine("native"), path)


def test_what_is_no_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(tm.SharedFileError, match="directory"):
        tm.Registry(engine="native", shared=tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(tm.SharedFileError, match="link"):
        tm.Registry(engine="native", shared=tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_rejected(path: Path) -> None:
    fill(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(tm.SharedFileError, match="another user"):
        tm.Registry(engine="native", shared=path)


def reach(directory: Path) -> None:
    """Let other users come to a directory."""
    for parent in directory.parents:
        if parent.stat().st_mode & 0o777 == 0o700 and parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(0o755)


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path, children: Any) -> None:
    """By another process, as root may write anywhere."""
    directory = tmp_path / "read-only"
    directory.mkdir(mode=0o555)
    reach(directory)

    def work() -> None:
        if os.geteuid() == 0:
            os.setuid(12345)
        with pytest.raises(tm.SharedFileError, match=r"read-only/metrics: .*Permission denied; choose a directory"):
            tm.Registry(engine="native", shared=directory / "metrics")

    assert children.run(work) == 0
    assert not list(directory.iterdir())


def test_a_file_system_without_unnamed_files_will_do(path: Path, monkeypatch: pytest.MonkeyPatch, children: Any) -> None:
    real = os.open

    def without(name: Any, flags: int, *mode: Any, **options: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(name, flags, *mode, **options)

    monkeypatch.setattr(os, "open", without)
    pids = [children.start(lambda: tm.Registry(engine="native", shared=path).counter("n").inc()) for _ in range(10)]
    assert [children.wait(pid) for pid in pids] == [0] * 10
    assert tm.Registry(engine="native", shared=path).counter("n").value == 10
    assert tm.Registry(engine="native", shared=path, fresh=True).counter("n").value == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_no_space_left(path: Path) -> None:
    program = (
        "import resource, signal, tallymark as tm\n"
        f"registry = tm.Registry(engine='native', shared={str(path)!r}, limits=tm.TagLimits(max_series=100_000))\n"
        "counter = registry.counter('n')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))\n"
        "for i in range(10_000): counter.inc(user=str(i))\n"
        "print(sum(one.value for one in registry.snapshot()['n']))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "10000.0"
    assert "its file may not grow further" in ran.stderr


NO_DESCRIPTORS = """
import os, sys, tallymark as tm
kept = tm.Registry(shared=True)  # so that all is imported
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for left in range(4):  # one more of them each time
    for shared in (sys.argv[1], True):
        try:
            tm.Registry(shared=shared)
            print("made")
        except tm.SharedFileError as error:
            print(error)
    os.close(taken.pop())
"""


def test_no_descriptors_left(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", NO_DESCRIPTORS, path], capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
    )  # fmt: skip
    first, *others = ran.stdout.splitlines()
    said = "cannot be shared: this process has as many files open as it may; close some, or raise the limit (ulimit -n"
    assert first.startswith(f"{path}: {said}")
    assert others[0].startswith(f"memory to be inherited: {said}")
    assert all(said in one or one == "made" for one in others)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file/metrics", "a part of its path is a file"), ("x" * 300, "its name is too long"), ("file/a/b", "is a file")],
    ids=["in-a-file", "long", "below-a-file"],
)
def test_what_cannot_be_a_path_is_rejected(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(tm.SharedFileError, match=f"{reason}.*choose a(nother|  *shorter)"):
        tm.Registry(engine="native", shared=tmp_path / name)
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(tm.SharedFileError, match="its directory cannot be made: File exists; make it before"):
        tm.Registry(engine="native", shared=tmp_path / "link" / "metrics")


def test_a_directory_that_this_user_may_not_make_is_said(tmp_path: Path, children: Any) -> None:
    directory = tmp_path / "read-only"
    directory.mkdir(mode=0o555)
    reach(directory)

    def work() -> None:
        if os.geteuid() == 0:
            os.setuid(12345)
        with pytest.raises(tm.SharedFileError, match=r"cannot be made: Permission denied; make it .*RuntimeDirectory"):
            tm.Registry(engine="native", shared=directory / "more" / "metrics")

    assert children.run(work) == 0
    assert not list(directory.iterdir())


def test_a_file_system_that_is_read_only_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(tm.SharedFileError, match="its file system is read-only; choose a directory on another"):
        tm.Registry(engine="native", shared=path)


def test_a_file_that_is_replaced_while_in_use_is_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = tm.Registry(engine="native", shared=path)
    registry.counter("n").inc()
    path.unlink()
    path.write_bytes(b"something else")
    with caplog.at_level(logging.ERROR, "tallymark"):
        for _ in range(3):
            assert registry.snapshot().find("n") is not None
    assert len([record for record in caplog.records if "replaced" in record.message]) == 1
    assert path.read_bytes() == b"something else"


def test_what_was_opened_to_be_read_cannot_be_added_to(path: Path) -> None:
    fill(path)
    assert open_to_read(load_engine("native"), path).add_family(b"x\n[]", 1, 0) == 0


PROBE = """
import json, sys, tallymark as tm
from tallymark.metric.shared.contents import read_contents
from tallymark.metric.shared.inspect import json_text, snapshot_of, text_lines
for path in sys.argv[1:]:
    try:
        contents = read_contents(path)
        assert all([line.isprintable() for line in text_lines(contents)])
        json.loads(json_text(contents))
        tm.render_prometheus(snapshot_of(contents))
        registry = tm.Registry(engine="native", shared=path)
        for _ in range(2):
            registry.counter("requests").inc(method="GET", status="200")
            registry.counter("requests").inc(new="series")
            registry.counter("requests").with_tags(new="series").remove()
            registry.gauge("depth", aggregate="sum").set(1)
            registry.histogram("size", unit="bytes").observe(1)
            registry.counter("another").inc(a="b")
            tm.render_prometheus(registry.snapshot())
            registry.unregister("requests")
    except (tm.SharedFileError, tm.MetricConflictError):
        pass
print("sound")
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_mutation_of_a_file_crashes_a_reader_or_a_writer(tmp_path: Path) -> None:
    good = fill(tmp_path / "good")
    rng = random.Random(20261124)
    used = struct.unpack_from("Q", good, USED)[0]
    tables = [at for at in range(PLACES, used, 8) if any(good[at : at + 8])]  # places, heads of chains, and records
    interesting = [*range(SIZE, SIZE + 40), *(at + i for at in tables for i in range(8))]
    for round_ in range(6):
        paths = []
        for i in range(60):
            bad = bytearray(good)
            for _ in range(rng.choice((1, 1, 2, 8))):
                at = rng.choice(interesting)
                if rng.random() < 0.5:
                    bad[at] = rng.randrange(256)
                else:
                    at -= at % 8
                    bad[at : at + 8] = struct.pack(
                        "Q", rng.choice((0, 1, 2**64 - 1, 2**63, used, used - 8, at, rng.choice(tables), rng.randrange(used)))
                    )
            path = tmp_path / f"{round_}-{i}"
            path.write_bytes(bad)
            paths.append(str(path))
        ran = subprocess.run([sys.executable, "-c", PROBE, *paths], capture_output=True, text=True, timeout=120)
        assert ran.stdout.strip() == "sound", (ran.returncode, ran.stderr[-2000:])


def test_who_maps_it_to_read_cannot_change_it(path: Path) -> None:
    fill(path)
    good = path.read_bytes()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:8] == good[:8]
    with open(path, "rb") as file:
        reader = load_engine("native").Shared(file.fileno(), False)
        assert not reader.bury()
        assert reader.why == "it was opened read-only"
    assert path.read_bytes() == good


def test_a_file_that_is_rejected_leaves_no_descriptor_open(path: Path) -> None:
    path.write_bytes(with_number(fill(path), VERSION, 99))
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(tm.SharedFileError):
            tm.Registry(engine="native", shared=path)
    assert os.listdir("/proc/self/fd") == before
