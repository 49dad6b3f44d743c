"""`Background`: a service in a thread of its own; its start, its close, a fork, the end of the process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tallymark.report import background as module
from tallymark.report.background import Background


class Service:
    """Runs until it is stopped, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.running = threading.Event()
        self.stopping = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    def run(self) -> None:
        self.told.append(f"run in {threading.current_thread().name}")
        self.running.set()
        self.stopping.wait(60)
        self.may_end.wait(60)
        self.told.append("end")

    def stop(self) -> None:
        self.told.append("stop")
        self.stopping.set()

    def release(self) -> None:
        self.told.append("release")

    def abandon(self) -> None:
        self.told.append("abandon")


@pytest.fixture
def service() -> Any:
    made = Service()
    yield made
    made.stopping.set()
    made.may_end.set()


def started(service: Any, patience: float = 60.0) -> Background:
    background = Background(service, name="worker", patience=patience)
    background.start()
    assert service.running.wait(60)
    return background


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked child; return its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_service_runs_in_a_daemon_thread_of_that_name_until_it_is_closed(service: Service) -> None:
    background = started(service)
    [thread] = [one for one in threading.enumerate() if one.name == "worker"]
    assert thread.daemon
    assert background.close() is True
    assert not thread.is_alive()
    assert service.told == ["run in worker", "stop", "end"]


def test_it_may_be_closed_again_and_by_several_threads(service: Service) -> None:
    background = started(service)
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(background.close())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [*results, background.close()] == [True] * 5
    assert service.told.count("end") == 1


def test_closing_waits_no_longer_than_its_patience(service: Service) -> None:
    service.may_end.clear()
    background = started(service, patience=0.01)
    assert background.close() is False
    service.may_end.set()
    background._patience = 60.0
    assert background.close() is True


def test_the_service_may_close_it_itself(service: Service) -> None:
    results: list[bool] = []
    service.run = lambda: results.append(background.close())  # type: ignore[method-assign]
    background = Background(service, name="worker", patience=60.0)
    background.start()
    assert background.close() is True
    assert results == [True]


def test_who_is_waited_for_by_the_service_does_not_wait_for_it(service: Service) -> None:
    service.may_end.clear()
    background = started(service)
    assert background.close(wait=False) is True
    assert service.told == ["run in worker", "stop"]
    service.may_end.set()
    assert background.close() is True


def test_one_that_was_never_started_is_closed_at_once(service: Service) -> None:
    background = Background(service, name="worker", patience=60.0)
    assert background.close() is True
    assert service.told == ["stop"]


def test_a_service_that_gets_no_thread_is_released(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    background = Background(service, name="worker", patience=60.0)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        background.start()
    assert service.told == ["release"]
    assert background not in module._running
    assert background.close() is True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_service_that_failed_is_closed_as_any(service: Service) -> None:
    def run() -> None:
        service.running.set()
        raise RuntimeError("mine")

    service.run = run  # type: ignore[method-assign]
    assert started(service).close() is True


def test_nothing_keeps_a_background_that_ended(service: Service) -> None:
    background = started(service)
    assert background in module._running
    background.close()
    left = weakref.ref(background)
    del background
    gc.collect()
    assert left() is None


def test_a_background_lives_while_it_runs_though_nobody_holds_it(service: Service) -> None:
    left = weakref.ref(started(service))
    gc.collect()
    found = left()
    assert found is not None
    assert found in module._running
    assert found.close() is True


# Forks


def test_a_forked_child_leaves_the_service_to_its_parent(service: Service) -> None:
    background = started(service)

    def work() -> None:
        assert service.told == ["run in worker", "abandon"]
        began = time.monotonic()
        assert background.close() is True  # at once, and the parent's goes on
        assert time.monotonic() - began < 30
        assert service.told == ["run in worker", "abandon"]
        assert in_child(lambda: background.close() or os._exit(2)) == 0
        other = Service()
        assert started(other).close() is True
        assert other.told == ["run in worker", "stop", "end"]

    assert in_child(work) == 0
    assert service.told == ["run in worker"]
    assert background.close() is True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_service_that_fails_to_let_go_keeps_no_other_from_it() -> None:
    class Failing(Service):
        def abandon(self) -> None:
            raise OSError("no descriptor left")

    services = [Failing(), Failing(), Failing()]
    backgrounds = [started(one) for one in services]

    def work() -> None:
        for background in backgrounds:
            assert background.close() is True

    assert in_child(work) == 0
    for background in backgrounds:
        assert background.close() is True


def test_what_ended_before_the_fork_is_left_alone(service: Service) -> None:
    background = started(service)
    background.close()
    del background
    gc.collect()
    assert in_child(lambda: service.told.index("abandon") if "abandon" in service.told else None) == 0


# The end of the process

AT_EXIT = """
import sys, threading, time
from tallymark.report.background import Background

class Service:
    def __init__(self):
        self.stopping = threading.Event()
    def run(self):
        self.stopping.wait(60)
        time.sleep(0.05)
        print("let go", flush=True)
    def stop(self):
        print("stopped", flush=True)
        self.stopping.set()
    release = abandon = None

background = Background(Service(), name="worker", patience=60.0)
background.start()
"""


@pytest.mark.parametrize(
    ("end", "status", "lines"),
    [
        ("print('end')", 0, ["end", "stopped", "let go"]),
        ("del background", 0, ["stopped", "let go"]),
        ("sys.exit(3)", 3, ["stopped", "let go"]),
        ("raise ValueError", 1, ["stopped", "let go"]),
        ("background.close(); del background; print('end')", 0, ["stopped", "let go", "end"]),
    ],
    ids=["end", "forgotten", "exit", "error", "closed"],
)
def test_it_is_closed_before_the_interpreter_is_taken_down(end: str, status: int, lines: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT + end], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.splitlines()) == (status, lines)
    assert done.stderr.count("Traceback") == (status == 1)
