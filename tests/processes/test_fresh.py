"""`fresh=True` begins a file anew if nobody lives in it. Whoever starts at the same time shares one file, and loses nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout import RELEASE, VERSION, with_number

import tallymark as tm
from tallymark.engine import load_engine
from tallymark.metric.shared.file import open_to_read, open_to_share
from tallymark.metric.shared.header import FORMAT
from tallymark.version import __version__

ROUNDS = int(os.environ.get("TALLYMARK_KILLS", "100")) // 5
WORKERS = 8
LIMIT = 64 * 2**20


@pytest.fixture
def old(path: Path) -> Path:
    """A file whose process has ended."""
    registry = tm.Registry(engine="native", shared=path)
    registry.counter("n").inc(5)
    registry.histogram("size", buckets=[1, 2]).observe(1)
    return path


def fresh(path: Path, **options: Any) -> tm.Registry:
    return tm.Registry(engine="native", shared=path, fresh=True, **options)


def of_release(number: int, release: bytes) -> Callable[[bytes], bytes]:
    def change(good: bytes) -> bytes:
        text = release + bytes(32 - len(release))
        return with_number(good[:RELEASE] + text + good[RELEASE + 32 :], VERSION, number)

    return change


CHANGES = {
    "same": lambda good: good,
    "older": of_release(2, b""),
    "newer": of_release(99, b"9.0"),
    "damaged": lambda good: good[:RELEASE] + b"?" + good[RELEASE + 1 :],
    "truncated": lambda good: good[: len(good) // 2],
    "short": lambda good: good[:8],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_of_ours_that_nobody_uses_is_begun_anew(change: str, old: Path) -> None:
    old.write_bytes(CHANGES[change](old.read_bytes()))
    registry = fresh(old)
    assert registry.counter("n").value == 0
    assert registry.histogram("size", buckets=[1, 2, 3]).bounds == (1, 2, 3)
    assert tm.Registry(engine="native", shared=old).snapshot().find("n") is not None
    assert os.listdir(old.parent) == [old.name]
    assert old.stat().st_mode & 0o777 == 0o600


def test_a_file_that_a_process_uses_is_joined(old: Path, children: Any) -> None:
    first = tm.Registry(engine="native", shared=old)
    first.counter("n").inc()
    assert children.run(lambda: fresh(old).counter("n").inc()) == 0
    assert first.counter("n").value == 7
    del first
    assert fresh(old).counter("n").value == 0


def test_a_child_keeps_the_file_of_its_parent_alive(old: Path, children: Any) -> None:
    ready, go = os.pipe(), os.pipe()
    registry = tm.Registry(engine="native", shared=old)

    def work() -> None:
        os.write(ready[1], b"x")
        os.read(go[0], 1)

    pid = children.start(work)
    os.read(ready[0], 1)
    del registry
    assert fresh(old).counter("n").value == 5
    os.write(go[1], b"x")
    assert children.wait(pid) == 0
    assert fresh(old).counter("n").value == 0


def test_without_a_file_it_is_made_with_its_directory(tmp_path: Path) -> None:
    for i, ask in enumerate((fresh, lambda path: tm.Registry(engine="native", shared=path))):
        path = tmp_path / f"{i}" / "some" / "directory" / "metrics"
        ask(path).counter("n").inc()
        assert os.listdir(path.parent) == [path.name]


def test_the_limit_is_the_new_one(old: Path) -> None:
    """Who joins has that of the file, whatever it asks for."""
    limits = [tm.Registry(engine="native", shared=old, shared_limit=2**22), fresh(old, shared_limit=2**23)]
    assert [one._families.memory.shared.usage()["limit"] for one in limits] == [LIMIT, LIMIT]  # type: ignore[union-attr]
    limits.clear()
    assert fresh(old, shared_limit=2**23)._families.memory.shared.usage()["limit"] == 2**23  # type: ignore[union-attr]


def test_inherited_memory_is_fresh_in_any_case() -> None:
    assert tm.Registry(engine="native", shared=True, fresh=True).counter("n").value == 0


def test_there_must_be_something_to_begin_anew() -> None:
    with pytest.raises(ValueError, match="shared=path"):
        tm.Registry(fresh=True)


# Others


@pytest.mark.parametrize("anew", [False, True])
def test_what_is_not_ours_is_left_alone(anew: bool, tmp_path: Path) -> None:
    foreign, empty, fifo, link = (tmp_path / name for name in ("foreign", "empty", "fifo", "link"))
    foreign.write_bytes(b"root:x:0:0\n" * 100_000)
    empty.touch()
    os.mkfifo(fifo)
    tm.Registry(engine="native", shared=tmp_path / "good").counter("n").inc()
    link.symlink_to(tmp_path / "good")
    before = {one: (one.lstat().st_ino, one.lstat().st_size) for one in tmp_path.iterdir()}
    for path, reason in [(foreign, "not a file that"), (empty, "not a file that"), (fifo, "not a file that"), (link, "link")]:
        with pytest.raises(tm.SharedFileError, match=reason):
            tm.Registry(engine="native", shared=path, fresh=anew)
    with pytest.raises(tm.SharedFileError, match="it is a directory; give the path of a file in it"):
        tm.Registry(engine="native", shared=tmp_path, fresh=anew)
    assert {one: (one.lstat().st_ino, one.lstat().st_size) for one in tmp_path.iterdir()} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_left_alone(old: Path, children: Any) -> None:
    os.chown(old, 12345, 12345)
    before = old.read_bytes()
    with pytest.raises(tm.SharedFileError, match=r"another user .uid 12345, this is uid 0"):
        fresh(old)
    os.chown(old, 0, 0)
    for parent in old.parents:
        if parent.stat().st_mode & 0o777 == 0o700 and parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(0o755)

    def work() -> None:
        os.setuid(12345)
        with pytest.raises(tm.SharedFileError, match=r"another user .uid 0, this is uid 12345"):  # though it may not open it
            fresh(old)

    assert children.run(work) == 0
    assert old.read_bytes() == before


# Other releases


def test_this_release_writes_the_format_that_it_names(old: Path) -> None:
    good = old.read_bytes()
    assert int.from_bytes(good[VERSION : VERSION + 8], "little") == FORMAT
    assert good[RELEASE : RELEASE + 32].rstrip(b"\0").decode() == __version__


RELEASES = {
    "named": (of_release(4, b"1.2.3"), "made it: Tallymark 1.2.3, format 4; this is"),
    "before-names": (of_release(2, b"\1\2\3\4"), "made it, with format 2; this is"),
    "hostile": (of_release(4, b"\x1b[31m\xff\n"), "made it: Tallymark ?[31m??, format 4; this is"),
    "unnamed": (of_release(4, b""), "made it, with format 4; this is"),
}


@pytest.mark.parametrize("release", RELEASES)
def test_a_file_of_another_release_is_rejected_and_both_are_named(release: str, old: Path) -> None:
    change, said = RELEASES[release]
    old.write_bytes(bad := change(old.read_bytes()))
    said = f"{old}: another release of Tallymark {said} Tallymark {__version__}, format {FORMAT}"
    with pytest.raises(tm.SharedFileError) as caught:
        tm.Registry(engine="native", shared=old)
    assert str(caught.value).startswith(said + "; nothing was changed")
    assert "fresh=True" in str(caught.value)
    with pytest.raises(tm.SharedFileError) as caught:
        open_to_read(load_engine("native"), old)
    assert str(caught.value) == said
    assert old.read_bytes() == bad


def test_a_file_of_another_release_that_is_in_use_is_rejected(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallymark.metric.shared.file._PATIENCE", 0.1)
    registry = tm.Registry(engine="native", shared=old)
    with old.open("r+b") as file:
        file.seek(VERSION)
        file.write(b"\x63")
    with pytest.raises(tm.SharedFileError, match=r"format 99; this is .* Processes use it: end them first"):
        fresh(old)
    registry.counter("n").inc()
    assert registry.counter("n").value == 6
    del registry
    assert fresh(old).counter("n").value == 0


# Races


class Meanwhile:
    """An engine that lets another process do something right before it looks for the living, or enters a file."""

    name = "native"

    def __init__(self, method: str, do: Callable[[], object], after: bool = False) -> None:
        self.Shared = self
        self._after = after
        self._real = load_engine("native").Shared
        self._method, self._do = method, do

    def _others(self, method: str) -> None:
        if method == self._method:
            self._method = ""
            self._do()

    def claim(self, fd: int) -> bool:
        self._others("claim")
        return bool(self._real.claim(fd))

    def format(self, *arguments: Any) -> None:
        self._real.format(*arguments)

    def __call__(self, fd: int) -> Any:
        if not self._after:
            self._others("enter")
        try:
            return self._real(fd)
        finally:
            self._others("enter")


@pytest.mark.parametrize("method", ["claim", "enter"])
@pytest.mark.parametrize("anew", [False, True])
def test_who_opened_the_file_before_another_began_it_anew_shares_the_new_one(method: str, anew: bool, old: Path) -> None:
    first: list[tm.Registry] = []
    alive = tm.Registry(engine="native", shared=old) if method == "enter" else None  # else it would be begun anew

    def begin() -> None:
        nonlocal alive
        alive = None
        first.append(fresh(old))
        first[0].counter("n").inc()

    engine = Meanwhile(method if anew else "enter", begin)
    shared, _ = open_to_share(engine, old, LIMIT, anew)
    status = old.stat()
    assert shared.identity == (status.st_dev, status.st_ino)
    assert first[0]._families.memory.shared.identity == shared.identity  # type: ignore[union-attr]
    assert tm.Registry(engine="native", shared=old).counter("n").value == 1


def test_who_finds_the_file_while_another_begins_it_anew_waits_for_that(old: Path) -> None:
    """Even if it is one of another release, and looks as if it were in use."""
    old.write_bytes(of_release(99, b"9")(old.read_bytes()))
    made: list[tm.Registry] = []
    with old.open("r+b") as file:
        assert load_engine("native").Shared.claim(file.fileno())

        def begin() -> None:
            made.append(tm.Registry(engine="native", shared=old.with_name("new")))
            made[0].counter("n").inc()
            os.rename(old.with_name("new"), old)
            file.close()

        engine = Meanwhile("enter", begin, after=True)
        shared, _ = open_to_share(engine, old, LIMIT, True)
    assert shared.identity == made[0]._families.memory.shared.identity  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "anew"), [(None, False), (None, True), ("same", False), ("same", True), ("older", True), ("damaged", True)]
)
def test_processes_that_start_at_once_share_one_file(change: str | None, anew: bool, old: Path, children: Any) -> None:
    content = None if change is None else CHANGES[change](old.read_bytes())
    expected = WORKERS + (5 if content is not None and not anew else 0)
    for _ in range(ROUNDS):
        old.unlink()
        if content is not None:
            old.write_bytes(content)
        (start, go), (done, tell), (end, stop) = pipes = [os.pipe() for _ in range(3)]

        def work(start: int = start, go: int = go, tell: int = tell, end: int = end, stop: int = stop) -> None:
            os.close(go)
            os.close(stop)
            os.read(start, 1)
            registry = tm.Registry(engine="native", shared=old, fresh=anew)
            registry.counter("n").inc()
            os.write(tell, b"x")
            os.read(end, 1)
            assert registry.counter("n").value == expected

        pids = [children.start(work) for _ in range(WORKERS)]
        os.close(go)  # which starts all
        os.close(tell)
        told = [os.read(done, 1) for _ in pids]  # nothing of one that failed
        os.close(stop)
        assert [children.wait(pid) for pid in pids] == [0] * WORKERS, told
        assert os.listdir(old.parent) == [old.name]
        for one, _ in pipes:
            os.close(one)


def test_who_cannot_make_a_new_file_keeps_the_old_one(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(tm.SharedFileError, match="its file system is full; free some space there"):
        fresh(old)
    monkeypatch.undo()
    assert old.read_bytes() == before
    assert os.listdir(old.parent) == [old.name]
    assert tm.Registry(engine="native", shared=old).counter("n").value == 5
