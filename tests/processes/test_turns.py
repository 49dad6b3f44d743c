"""`tm.serve` in several processes of one shared registry: one serves, and when it ends another takes over."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from recipes import PATIENCE, poll

import tallymark as tm
from tallymark.metric.shared.role_lock import RoleLock
from tallymark.serve import turn
from tallymark.serve.address import Address

WORKERS = 4


@pytest.fixture(autouse=True)
def _quickly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than four times a second, so that the tests are short; forked children do so too."""
    if "waiting_costs" not in request.node.name:
        monkeypatch.setattr(turn, "_PAUSE", 0.02)
        monkeypatch.setattr(turn, "_ENDING", 0.05)


others: set[threading.Thread] = set()
"""Threads of before a test: those of apps that other tests have left."""


@pytest.fixture(autouse=True)
def _note_others() -> Iterator[None]:
    others.update(threading.enumerate())
    yield
    others.clear()


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def registry(path: Path) -> tm.Registry:
    """One of processes that share it: by a file, where that makes no difference."""
    return tm.Registry(shared=path)


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """Another program's hold on a port."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def scrape(port: int) -> dict[str, float]:
    """Return what is served, by name, with an "up" of 1; nothing while nobody serves."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
    except OSError:  # also one who is killed amid its answer
        return {}
    families = text_string_to_metric_families(text)
    return {"up": 1.0} | {sample.name: sample.value for family in families for sample in family.samples}


def who_serves(port: int, *, but: int = 0) -> int:
    """Wait until somebody serves, other than `but`; return its pid."""

    def look() -> int | None:
        pid = int(scrape(port).get("reader", 0))
        return None if pid in (0, but) else pid

    return poll(look, "somebody serves")


def threads() -> list[str]:
    """Return the names of our threads that a test has started and that have not ended."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tallymark") and thread not in others]


# In one process


def test_one_serves_and_the_next_takes_over(shared: tm.Registry, port: int, caplog: pytest.LogCaptureFixture) -> None:
    shared.counter("hits").inc()
    caplog.set_level(logging.INFO, "tallymark")
    first, second = [tm.serve(port, registry=shared) for _ in range(2)]
    with second:
        assert (first.is_serving, second.is_serving) == (True, False)
        assert (second.port, second.url) == (first.port, first.url)
        assert repr(first) == f"<Server http://127.0.0.1:{port}/metrics>"
        assert repr(second) == f"<Server http://127.0.0.1:{port}/metrics, which another process serves>"
        assert scrape(port)["hits_total"] == 1
        first.close()
        poll(lambda: second.is_serving, "the second takes over")
        assert poll(lambda: scrape(port), "it answers")["hits_total"] == 1
        assert repr(second) == f"<Server http://127.0.0.1:{port}/metrics>"
    assert not threads()
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "this process now serves the metrics" in caplog.text
    with stranger(port):  # it is free again
        pass


@pytest.mark.parametrize("close", ["close", "registry.close", "with"])
def test_who_waits_can_be_closed(shared: tm.Registry, path: Path, port: int, close: str) -> None:
    another = tm.Registry(shared=path) if path.exists() else shared
    with tm.serve(port, registry=shared) as first:
        waiting = tm.serve(port, registry=another)
        if close == "with":
            with waiting:
                assert len(threads()) == 2
        elif close == "close" or another is shared:
            waiting.close()
        else:
            another.close()
        assert threads() == ["tallymark-http"]
        waiting.close()
        assert first.is_serving
        assert not waiting.is_serving
        assert scrape(port)


def test_who_closes_before_its_turn_never_serves(registry: tm.Registry, port: int) -> None:
    first = tm.serve(port, registry=registry)
    for waiting in [tm.serve(port, registry=registry) for _ in range(3)]:
        waiting.close()
    first.close()
    assert not threads()
    assert not scrape(port)


def test_a_strangers_port_is_an_error_at_once(registry: tm.Registry, port: int) -> None:
    with (
        stranger(port),
        pytest.raises(OSError, match=rf"cannot serve metrics on host '127.0.0.1', port {port}: .* in use; choose") as raised,
    ):
        tm.serve(port, registry=registry)
    assert raised.value.errno == errno.EADDRINUSE
    assert not threads()
    with tm.serve(port, registry=registry):  # and leaves nothing behind
        assert scrape(port)


@pytest.mark.parametrize("other", ["private", "shared"])
def test_another_registry_is_a_stranger(registry: tm.Registry, port: int, tmp_path: Path, other: str) -> None:
    stranger = tm.Registry(shared=tmp_path / "other") if other == "shared" else tm.Registry()
    for first, second in [(registry, stranger), (stranger, registry)]:
        with tm.serve(port, registry=first), pytest.raises(OSError, match="in use"):
            tm.serve(port, registry=second)


def test_another_address_of_that_port_is_not_the_same(registry: tm.Registry, port: int) -> None:
    with tm.serve(port, registry=registry):
        with pytest.raises(OSError, match=r"host '0.0.0.0', .* in use"):
            tm.serve(port, "0.0.0.0", registry)
        with tm.serve(port, "127.0.0.2", registry) as other:
            assert other.is_serving


def test_a_name_and_its_address_are_the_same(registry: tm.Registry, port: int) -> None:
    with tm.serve(port, registry=registry), tm.serve(port, "localhost", registry) as waiting:
        assert not waiting.is_serving


def test_each_has_a_free_port_of_its_own(registry: tm.Registry) -> None:
    with tm.serve(0, registry=registry) as first, tm.serve(0, registry=registry) as second:
        assert first.port != second.port
        assert scrape(first.port)
        assert scrape(second.port)
        with tm.serve(first.port, registry=registry) as third:
            assert not third.is_serving
            first.close()
            poll(lambda: third.is_serving, "it takes over what was a free port")


def test_each_has_its_own_credentials(registry: tm.Registry, port: int) -> None:
    first = tm.serve(port, registry=registry)
    with tm.serve(port, registry=registry, auth=tm.BearerAuth("token")) as second:
        first.close()
        poll(lambda: second.is_serving, "the second takes over")
        with pytest.raises(urllib.request.HTTPError, match="401"):
            urllib.request.urlopen(second.url, timeout=PATIENCE)


def test_who_cannot_serve_logs_it_once_and_keeps_trying(
    registry: tm.Registry, port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = threading.Semaphore(0)

    def fail(address: Address) -> Any:
        tried.release()
        raise OSError(errno.EACCES, "cannot serve metrics: not permitted")

    first = tm.serve(port, registry=registry)
    with tm.serve(port, registry=registry) as waiting, monkeypatch.context() as failing:
        failing.setattr(Address, "listen", fail)
        first.close()
        for _ in range(3):
            assert tried.acquire(timeout=PATIENCE)
        assert caplog.messages == [
            "cannot serve metrics: not permitted. It is tried again and again, but not logged again",
        ]
        failing.undo()
        poll(lambda: waiting.is_serving, "it takes over at last")


def test_who_has_a_port_but_cannot_serve_lets_it_go(registry: tm.Registry, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def fail(listener: socket.socket) -> Any:
        failed.set()
        raise OSError(errno.EMFILE, "no descriptors")

    first = tm.serve(port, registry=registry)
    with tm.serve(port, registry=registry) as unable:
        monkeypatch.setattr(unable._turn, "_make", fail)
        first.close()
        assert failed.wait(PATIENCE)
        with poll(lambda: served_by_another(port, registry), "another one can") as another:
            assert another.is_serving


def served_by_another(port: int, registry: tm.Registry) -> tm.Server | None:
    try:
        server = tm.serve(port, registry=registry)
    except OSError:  # the one that is unable has it just now
        return None
    if server.is_serving:
        return server
    server.close()
    return None


def test_who_is_about_to_tell_that_it_has_the_port_is_waited_for(
    registry: tm.Registry, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listens, may_tell = threading.Event(), threading.Event()
    listen, lock = Address.listen, RoleLock._set

    def listen_long(address: Address) -> socket.socket:
        listener = listen(address)
        listens.set()
        may_tell.wait(1)
        return listener

    def look(one: RoleLock, byte: int, kind: int) -> bool:
        locked = lock(one, byte, kind)
        if not locked:
            may_tell.set()
        return locked

    monkeypatch.setattr(Address, "listen", listen_long)
    monkeypatch.setattr(RoleLock, "_set", look)
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(tm.serve, port, registry=registry)
        assert listens.wait(PATIENCE)
        with tm.serve(port, registry=registry) as second, serving.result() as first:
            assert (first.is_serving, second.is_serving) == (True, False)


def test_who_is_closed_in_the_moment_of_its_turn_does_not_serve(registry: tm.Registry, port: int) -> None:
    first = tm.serve(port, registry=registry)
    second = tm.serve(port, registry=registry)
    make = second._turn._make

    def make_late(listener: socket.socket) -> Any:
        second._turn.stop()
        return make(listener)

    second._turn._make = make_late
    first.close()
    poll(lambda: not threads(), "it ends")
    assert not scrape(port)


def test_nobody_waits_for_one_that_was_stopped_while_it_decided(
    registry: tm.Registry, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallymark.metric.shared.role_lock._LONGEST", 0.05)
    lock = RoleLock(registry._families.memory.shared)  # type: ignore[attr-defined]
    with lock.deciding(), tm.serve(port, registry=registry) as server:
        assert server.is_serving
    lock.close()


def test_without_a_lock_a_shared_registry_serves_as_a_private_one(
    registry: tm.Registry, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(lock: RoleLock, shared: object) -> None:
        raise PermissionError

    monkeypatch.setattr(RoleLock, "__init__", fail)
    with tm.serve(port, registry=registry) as server:
        assert scrape(server.port)
        with pytest.raises(OSError, match="in use"):
            tm.serve(port, registry=registry)


@pytest.mark.slow
def test_waiting_costs_four_looks_a_second(registry: tm.Registry, port: int) -> None:
    with tm.serve(port, registry=registry), tm.serve(port, registry=registry) as waiting:
        status = Path(f"/proc/self/task/{waiting._background._thread.native_id}/status")

        def switches() -> int:
            return int(status.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])

        began, before = time.monotonic(), switches()
        time.sleep(1)
        looks = 4 * (time.monotonic() - began) + 1
        assert 2 <= switches() - before <= 2 * looks  # each may have to wait for the GIL too


# In several


def worker(registry: tm.Registry, port: int, ready: int | None = None, gone: Callable[[], object] = signal.pause) -> None:
    """Serve with others until `gone` returns."""
    server = tm.serve(port, registry=registry)
    registry.gauge("reader", callback=os.getpid)
    registry.counter("started").inc()
    if ready is not None:
        os.write(ready, b".")
    gone()
    server.close()


def start(children: Any, count: int, work: Callable[[int], object]) -> list[int]:
    """Start children, and wait until each has written to the descriptor that it is given."""
    read, write = os.pipe()
    pids = [children.start(lambda: work(write)) for _ in range(count)]
    for _ in pids:
        assert os.read(read, 1) == b"."
    os.close(read)
    os.close(write)
    return pids


def test_another_worker_takes_over_from_each_that_is_killed(shared: tm.Registry, children: Any, port: int) -> None:
    start(children, WORKERS, lambda ready: worker(shared, port, ready))
    serving = 0
    for _ in range(WORKERS):
        serving = who_serves(port, but=serving)
        assert scrape(port)["started_total"] == WORKERS
        assert serving in children.pids
        children.kill(serving)
    assert scrape(port) == {}


def test_a_new_worker_waits_with_the_others(registry: tm.Registry, children: Any, port: int) -> None:
    start(children, 2, lambda ready: worker(registry, port, ready))
    for started in (3, 4, 5):
        serving = who_serves(port)
        children.kill(serving)
        start(children, 1, lambda ready: worker(registry, port, ready))
        assert who_serves(port, but=serving) in children.pids
        assert scrape(port)["started_total"] == started


ENDINGS = {
    "end": "pass",
    "close": "server.close(); go_on.read()",
    "registry": "registry.close(); go_on.read()",
    "killed": "os.kill(os.getpid(), 9)",
    "terminated": "os.kill(os.getpid(), 15)",
}


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_another_program_takes_over_however_one_ends(path: Path, port: int, ending: str) -> None:
    program = f"""
import os, sys, tallymark as tm
registry = tm.Registry(shared={str(path)!r})
registry.gauge("reader", callback=os.getpid)
server = tm.serve({port}, registry=registry)
print(server.is_serving, flush=True)
go_on = sys.stdin
go_on.readline()
{ending}
"""
    with ExitStack() as stack:
        started = []
        for is_first in (True, False):
            pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", program], text=True, **pipes))
            stack.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline() == f"{is_first}\n"
            started.append(process)
        first, second = started
        assert who_serves(port) == first.pid
        assert first.stdin
        first.stdin.write("\n")
        first.stdin.flush()
        assert who_serves(port, but=first.pid) == second.pid


def test_children_take_over_from_a_master_that_served_before_the_fork(path: Path, children: Any, port: int) -> None:
    def master(ready: int) -> None:
        registry = tm.Registry(shared=path)
        server = tm.serve(port, registry=registry)
        registry.gauge("reader", callback=os.getpid)
        for _ in range(2):
            if os.fork() == 0:
                assert server.is_serving  # the handle is the parent's
                worker(registry, port, ready)
        signal.pause()

    read, write = os.pipe()
    pid = children.start(lambda: master(write))
    os.close(write)
    assert os.read(read, 1) + os.read(read, 1) == b".."
    assert who_serves(port) == pid
    children.kill(pid)
    heirs = []
    for _ in range(2):
        heirs.append(who_serves(port, but=heirs[-1] if heirs else pid))
        os.kill(heirs[-1], signal.SIGKILL)
    assert len(set(heirs)) == 2
    assert os.read(read, 1) == b""  # all have ended
    os.close(read)


@pytest.mark.parametrize("forked_by", ["who serves", "who waits"])
def test_a_child_that_lives_on_keeps_nobody_from_the_port(
    registry: tm.Registry, children: Any, port: int, forked_by: str
) -> None:
    leave, left = os.pipe()

    def fork_and_serve(ready: int) -> None:
        def gone() -> None:
            if os.fork() == 0:
                os.close(left)
                os.read(leave, 1)
                os._exit(0)
            os.write(ready, b".")
            signal.pause()

        worker(registry, port, gone=gone)

    plain = [lambda ready: worker(registry, port, ready)]
    order = [fork_and_serve, *plain] if forked_by == "who serves" else [*plain, fork_and_serve, *plain]
    pids = [start(children, 1, work)[0] for work in order]
    for _ in pids:
        serving = who_serves(port)
        assert serving in children.pids
        children.kill(serving)
    assert scrape(port) == {}
    with stranger(port):
        pass
    os.close(leave)
    os.close(left)
    assert len(pids) == len(order)


@pytest.mark.parametrize("is_taken", [False, True], ids=["free", "taken"])
def test_of_many_that_start_at_once(registry: tm.Registry, children: Any, port: int, is_taken: bool) -> None:
    """One serves; or none waits for a stranger that all the others try to tell from themselves."""
    begin, began = os.pipe()
    told, tell = os.pipe()

    def work() -> None:
        os.close(began)
        os.read(begin, 1)
        try:
            server = tm.serve(port, registry=registry)
        except OSError:
            os.write(tell, b"e")
        else:
            os.write(tell, b"s" if server.is_serving else b"w")
        signal.pause()

    with ExitStack() as stack:
        if is_taken:
            stack.enter_context(stranger(port))
        for _ in range(8):
            children.start(work)
        os.close(began)
        outcomes = sorted(os.read(told, 1) for _ in range(8))
    assert outcomes == [b"e"] * 8 if is_taken else [b"s", *[b"w"] * 7]
    for descriptor in (begin, told, tell):
        os.close(descriptor)


def test_who_is_stopped_goes_on_serving(registry: tm.Registry, children: Any, port: int) -> None:
    """It has the port: nobody can take it over. When it ends, others do."""
    [first] = start(children, 1, lambda ready: worker(registry, port, ready))
    with tm.serve(port, registry=registry) as waiting:
        os.kill(first, signal.SIGSTOP)
        time.sleep(0.1)
        assert not waiting.is_serving
        os.kill(first, signal.SIGCONT)
        assert who_serves(port) == first
        children.kill(first)
        poll(lambda: waiting.is_serving, "it takes over")
