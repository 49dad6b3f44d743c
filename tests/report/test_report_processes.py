"""Reporters and processes: the end of one, forks, children of `multiprocessing`, signals, finalisers, gevent."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from failing_server import FailingServer, failing_server
from http_backend import total

from tallymark.engine.lock import has_gil

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
BEGIN = """
import os, signal, sys, threading, time
sys.path.insert(0, {here!r})
import tallymark as tm
from http_backend import HTTPBackend
registry = tm.Registry()
jobs = registry.counter("jobs")
backend = HTTPBackend({url!r})
"""


@pytest.fixture
def server() -> Iterator[FailingServer]:
    with failing_server() as running:
        yield running


def run(server: FailingServer, program: str, **options: object) -> subprocess.CompletedProcess[str]:
    program = BEGIN.format(here=str(HERE), url=server.url) + program
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True, text=True, timeout=60, **options,  # type: ignore[call-overload]
    )  # fmt: skip


LATE = "threading.Thread(target=lambda: (time.sleep(0.2), jobs.inc(2))).start()"


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "raise ValueError", "del reporter", LATE])
def test_a_last_report_is_made_at_the_end(end: str, server: FailingServer) -> None:
    done = run(server, f"reporter = tm.report_to(backend, 60, registry)\njobs.inc(3)\n{end}")
    assert done.stderr == "" or "ValueError" in end
    assert total(server.taken, "jobs") == (5 if "Thread" in end else 3)


@pytest.mark.parametrize("arrives", [True, False])
def test_who_closes_after_the_end_is_told_whether_the_last_report_arrived(arrives: bool, server: FailingServer) -> None:
    url = "backend._address.url" if arrives else "'http://127.0.0.1:1/'"
    done = run(
        server,
        f"""
class Closes:
    def __init__(self):
        self.reporter, self.write = tm.report_to(HTTPBackend({url}), 60, registry), os.write
    def __del__(self):
        self.write(1, str(self.reporter.close()).encode())
closes = Closes()
jobs.inc(3)
""",
    )
    assert done.stdout == str(arrives)
    assert total(server.taken, "jobs") == 3 * arrives


def test_the_end_waits_seconds_at_most_while_a_report_hangs(server: FailingServer) -> None:
    began = time.monotonic()
    done = run(
        server,
        """
class Hangs(HTTPBackend):
    def send(self, parts, deadline):
        print("hangs", flush=True)
        time.sleep(1000)

jobs.inc(3)
deaf = tm.Registry()
deaf.counter("deaf").inc()
reporters = [tm.report_to(Hangs("http://127.0.0.1:1/"), 0.01, deaf), tm.report_to(backend, 0.01, registry)]
""",
    )
    assert done.returncode == 0
    assert time.monotonic() - began < 30
    assert "hangs" in done.stdout


def test_a_server_that_never_answers_takes_no_time_from_the_others(server: FailingServer) -> None:
    done = run(
        server,
        """
import socket
listening = socket.create_server(("127.0.0.1", 0))
deaf = tm.report_to(HTTPBackend(f"http://127.0.0.1:{listening.getsockname()[1]}/"), 0.01, registry)
while deaf._member.delivery is None or not deaf._member.delivery.outbox:
    jobs.inc(1)
    time.sleep(0.02)
reporter = tm.report_to(backend, 60, registry)
print(jobs.value)
""",
    )
    assert total(server.taken, "jobs") == float(done.stdout)


def test_a_forked_child_reports_what_it_recorded_itself(server: FailingServer) -> None:
    done = run(
        server,
        """
reporter = tm.report_to(backend, 60, registry)
jobs.inc(3)
for _ in range(2):
    if os.fork() == 0:
        jobs.inc(10)
        sys.exit(0)
    os.wait()
jobs.inc(4)
if os.fork() == 0:
    jobs.inc(100)
    assert reporter.report()
    os._exit(0)
os.wait()
""",
    )
    assert done.stderr == ""
    assert sorted(float(body.split()[1]) for body in server.taken if body.split()[1] != b"0") == [7, 10, 10, 100]


def test_a_fork_in_the_midst_of_a_report(server: FailingServer) -> None:
    done = run(
        server,
        """
class Slow(HTTPBackend):
    def send(self, parts, deadline):
        sending.set()
        may.wait(20)
        return super().send(parts, deadline)

sending, may = threading.Event(), threading.Event()
reporter = tm.report_to(Slow(backend._address.url), 60, registry)
jobs.inc(3)
thread = threading.Thread(target=reporter.report)
thread.start()
sending.wait(20)
if os.fork() == 0:
    may.set()
    jobs.inc(10)
    sys.exit(not reporter.close())
_, status = os.wait()
may.set()
thread.join()
sys.exit(os.waitstatus_to_exitcode(status))
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert total(server.taken, "jobs") == 13


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_makes_a_last_report(method: str, server: FailingServer, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    work = """
def work(reports):
    if reports:
        tm.report_to(HTTPBackend(backend._address.url), 60, registry)
    jobs.inc(10)

if __name__ == "__main__":
    import multiprocessing
    context = multiprocessing.get_context({method!r})
    if {method!r} == "fork":
        reporter = tm.report_to(backend, 60, registry)
    jobs.inc(3)
    child = context.Process(target=work, args=({method!r} != "fork",))
    child.start()
    child.join()
"""
    program.write_text(BEGIN.format(here=str(HERE), url=server.url) + work.format(method=method))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(program)], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert total(server.taken, "jobs") == (13 if method == "fork" else 10)


def test_close_is_called_by_a_signal_handler_in_the_midst_of_a_report(server: FailingServer) -> None:
    done = run(
        server,
        """
class Signals(HTTPBackend):
    def send(self, parts, deadline):
        os.kill(os.getpid(), signal.SIGUSR1)
        return super().send(parts, deadline)

def handle(*_):
    print(reporter.close(20), flush=True)

signal.signal(signal.SIGUSR1, handle)
reporter = tm.report_to(Signals(backend._address.url), 60, registry)
jobs.inc(3)
reporter.report()
""",
    )
    assert done.stderr == ""
    assert "True" in done.stdout
    assert total(server.taken, "jobs") == 3


def test_close_is_called_by_a_finaliser_that_interrupted_the_registry(server: FailingServer) -> None:
    done = run(
        server,
        """
from tallymark.engine.lock import slow_path

class Closes:
    def __del__(self):
        began = time.monotonic()
        reporter.close(20)
        print(time.monotonic() - began < 10, flush=True)

reporter = tm.report_to(backend, 60, registry)
jobs.inc(3)
with slow_path():
    closes = Closes()
    del closes
""",
    )
    assert (done.stdout.split(), done.stderr) == (["True"], "")
    assert total(server.taken, "jobs") == 3


@pytest.mark.parametrize("who", ["callback", "send", "encode"])
def test_what_the_reporter_calls_may_close_it(who: str, server: FailingServer) -> None:
    done = run(
        server,
        f"""
class Closes(HTTPBackend):
    def send(self, parts, deadline):
        if {who!r} == "send":
            reporter.close(); reporter.flush(); reporter.report()
        return super().send(parts, deadline)
    def encode(self, snapshot, since):
        if {who!r} == "encode":
            reporter.close(); reporter.flush(); reporter.report()
        return super().encode(snapshot, since)

def value():
    if {who!r} == "callback" and threading.current_thread() is not threading.main_thread():
        reporter.close(); reporter.flush(); reporter.report()
    return 4

registry.gauge("g", callback=value)
reporter = tm.report_to(Closes(backend._address.url), 60, registry)
jobs.inc(3)
reporter.report()
began = time.monotonic()
reporter.close()
assert time.monotonic() - began < 4
""",
    )
    assert done.stderr == ""
    assert total(server.taken, "jobs") == 3


def test_a_kill_leaves_no_process_behind(server: FailingServer) -> None:
    """A child that ends as the default action of a signal makes no last report; nothing waits for it."""
    done = run(server, "reporter = tm.report_to(backend, 60, registry)\njobs.inc()\nos.kill(os.getpid(), signal.SIGTERM)")
    assert done.returncode == -15


def test_without_a_thread_nothing_is_left(server: FailingServer) -> None:
    done = run(
        server,
        """
def start(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start, kept = start, threading.Thread.start
try:
    tm.report_to(backend, 60, registry)
except RuntimeError as error:
    print(error)
threading.Thread.start = kept
reporter = tm.report_to(backend, 60, registry)
jobs.inc(3)
print(reporter.report())
""",
    )
    assert done.stdout.splitlines() == ["can't start new thread", "True"]


def test_it_is_safe_under_gevent(server: FailingServer) -> None:
    pytest.importorskip("gevent")
    done = run(
        server,
        """
import subprocess
program = '''
from gevent import monkey
monkey.patch_all()
import gevent, os, sys
sys.path.insert(0, sys.argv[1])
import tallymark as tm
from http_backend import HTTPBackend
registry = tm.Registry()
jobs = registry.counter("jobs")
reporter = tm.report_to(HTTPBackend(sys.argv[2]), 0.05, registry)
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.01)
gevent.spawn(tick)
for _ in range(20):
    jobs.inc()
    gevent.sleep(0.01)
assert reporter.flush(10), "flush"
assert len(ticks) > 15, ticks
pid = os.fork()
if pid == 0:
    jobs.inc(100)
    gevent.sleep(0.2)
    os._exit(0 if reporter.close() else 3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
jobs.inc(5)
print("end")
'''
command = [sys.executable, "-c", program, sys.path[0], backend._address.url]
done = subprocess.run(command, capture_output=True, text=True, timeout=50)
print(done.stdout, done.stderr, file=sys.stderr if done.returncode or "end" not in done.stdout or done.stderr else sys.stdout)
""",
    )
    assert done.stderr == ""
    assert total(server.taken, "jobs") == 125


def test_a_greenlet_that_a_fork_met_amid_a_report_sends_nothing_in_the_child(server: FailingServer) -> None:
    """gevent's greenlets go on in a forked child, with the parent's request and its connection."""
    pytest.importorskip("gevent")
    done = run(
        server,
        """
import subprocess
program = '''
from gevent import monkey
monkey.patch_all()
import gevent, os, sys
sys.path.insert(0, sys.argv[1])
import tallymark as tm
from http_backend import HTTPBackend
class Slow(HTTPBackend):
    sends = 0
    def send(self, parts, deadline):
        self.sends += 1
        gevent.sleep(0.2)
        return super().send(parts, deadline)
registry = tm.Registry()
jobs = registry.counter("jobs")
backend = Slow(sys.argv[2])
reporter = tm.report_to(backend, 60, registry)
jobs.inc(20)
gevent.spawn(reporter.report)
while not backend.sends:
    gevent.sleep(0.01)
pid = os.fork()
jobs.inc(5 if pid else 100)
gevent.sleep(0.5)
assert reporter.flush(10), "flush"
if pid == 0:
    os._exit(0 if reporter.close() else 3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print("end")
'''
command = [sys.executable, "-c", program, sys.path[0], backend._address.url]
done = subprocess.run(command, capture_output=True, text=True, timeout=50)
print(done.stdout, done.stderr, file=sys.stderr if done.returncode or "end" not in done.stdout or done.stderr else sys.stdout)
""",
    )
    assert done.stderr == ""
    assert total(server.taken, "jobs") == 125


@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
@pytest.mark.parametrize("shared", ["False", "True"])
def test_the_thread_imports_nothing(shared: str, temporality: str, server: FailingServer) -> None:
    """A fork would leave a module half imported in the child, where that import never ends."""
    if shared == "True" and not (sys.platform.startswith("linux") and has_gil()):
        pytest.skip("registries share on Linux alone")
    done = run(
        server,
        f"""
registry = tm.Registry(shared={shared})
jobs = registry.counter("jobs", ttl=60)
registry.histogram("sizes", exponential=True).observe(2)
registry.timer("spans").record(2)
backend = HTTPBackend(backend._address.url.replace("127.0.0.1", "localhost"), {temporality!r})
refused = HTTPBackend("http://127.0.0.1:1/", {temporality!r})
reporters = [tm.report_to(one, 60, registry) for one in (backend, refused)]
before = set(sys.modules)
for _ in range(3):
    jobs.inc(tag="a")
    registry.histogram("sizes").observe(3)
    print([reporter.report() for reporter in reporters])
    jobs.with_tags(tag="a").remove()
print(sorted(set(sys.modules) - before))
""",
    )
    assert done.stdout.splitlines() == ["[True, False]"] * 3 + ["[]"]
