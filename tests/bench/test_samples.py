"""Samples of a thread's stack: where it is at that moment, and code that would break the sampling."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from tallymark.bench.benchmark import Benchmark, run_once
from tallymark.bench.errors import BenchmarkFileError
from tallymark.bench.measure.passes.samples import SamplePass
from tallymark.bench.stacks import sampled, sampling, why_no_stacks

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_no_stacks()), reason=why_no_stacks() or "stacks can be read")]


def ticked(fn: Callable[[], object], ticks: int = 5) -> tuple[list[tuple[tuple[int, int], ...]], int]:
    """Sample a function: interrupt it as the timer does, from itself, at known places. The timer itself does not tick."""
    sampling(0.5)
    for _ in range(ticks):
        fn()
    return sampled()


def interrupted() -> None:
    signal.raise_signal(signal.SIGPROF)


def test_a_sample_is_the_stack_at_that_moment() -> None:
    samples, lost = ticked(interrupted)
    assert lost == 0
    assert len(samples) >= 5
    codes = [code for code, _ in samples[0]]
    assert codes[:3] == [id(one.__code__) for one in (interrupted, ticked, test_a_sample_is_the_stack_at_that_moment)]
    lines = [position[0] for position in interrupted.__code__.co_positions()]
    assert lines[samples[0][0][1]] == interrupted.__code__.co_firstlineno + 1


def test_a_timer_takes_samples() -> None:
    sampling(0.001)
    taken = 0
    while taken < 2_000_000:
        taken += 1
    samples, _ = sampled()
    assert len(samples) > 2
    assert all(sample[0][0] == id(test_a_timer_takes_samples.__code__) for sample in samples[1:-1])


def down(n: int, last: Callable[[], object] = int) -> None:
    if n:
        down(n - 1, last)
    else:
        last()


@pytest.fixture
def deep_stack() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(15_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("deep_stack")
def test_a_deep_stack_is_sampled_at_its_inner_end() -> None:
    samples, _ = ticked(lambda: down(10_000, interrupted), 1)
    assert [code for code, _ in samples[0]][:2] == [id(interrupted.__code__), id(down.__code__)]
    assert len(samples[0]) < 1025


def test_a_handler_of_the_signal_that_replaces_ours() -> None:
    sampling(0.5)
    before = signal.signal(signal.SIGPROF, signal.SIG_IGN)
    with pytest.raises(RuntimeError, match="SIGPROF was replaced"):
        sampled()
    assert signal.getsignal(signal.SIGPROF) == signal.SIG_IGN
    signal.signal(signal.SIGPROF, before)


def test_one_sampling_at_a_time() -> None:
    sampling(0.5)
    with pytest.raises(RuntimeError, match="sampled already"):
        sampling(0.5)
    sampled()
    with pytest.raises(RuntimeError, match="no thread is being sampled"):
        sampled()
    for wrong in (0.0, -1.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="samples are taken every"):
            sampling(wrong)


def test_a_late_signal_does_not_end_the_process() -> None:
    sampling(0.5)
    sampled()
    signal.raise_signal(signal.SIGPROF)


def test_generators_and_callbacks_survive_many_samples() -> None:
    sampling(0.0002)
    for _ in range(300):
        sorted(range(100), key=lambda one: -one)
        sum(-one for one in range(20))
        down(20)
    samples, lost = sampled()
    assert samples
    assert lost <= len(samples) / 10


PRELUDE = """
import ctypes, faulthandler, os, signal
from tallymark.bench.benchmark import Benchmark, run_once
from tallymark.bench.errors import BenchmarkFileError
from tallymark.bench.measure.passes.samples import SamplePass
from tallymark.bench.stacks import sampled, sampling
"""


@pytest.mark.parametrize(
    "script",
    [
        "sampling(0.5); os.kill(os.getpid(), signal.SIGSEGV)",
        "sampling(0.5); signal.raise_signal(signal.SIGBUS)",
        "faulthandler.enable(); sampling(0.5); os.kill(os.getpid(), signal.SIGSEGV)",
        "sampling(0.5); ctypes.string_at(8)",
        "sampling(0.5); faulthandler.enable(); ctypes.string_at(8)",
        "sampling(0.5); faulthandler.enable(); sampled(); sampling(0.5); ctypes.string_at(8)",
        "sampling(0.5); faulthandler.enable(); sampled(); faulthandler.disable(); sampling(0.5); ctypes.string_at(8)",
        "sampling(0.5); faulthandler.enable(); sampled(); faulthandler.disable(); ctypes.string_at(8)",
    ],
    ids=["sent", "raised", "sent-handled", "fault", "handled", "handlers-in-a-circle", "handler-set-twice", "handler-left"],
)
def test_a_fault_that_is_not_ours_ends_the_process(script: str) -> None:
    environ = os.environ | {"ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:handle_sigbus=0"}  # a sanitizer's handlers exit
    command = [sys.executable, "-c", PRELUDE + script]
    ended = subprocess.run(command, env=environ, stderr=subprocess.DEVNULL, timeout=30, check=False)
    assert ended.returncode == -(signal.SIGBUS if "SIGBUS" in script else signal.SIGSEGV)


def test_a_signal_of_faults_that_is_sent_and_handled() -> None:
    script = """
answers = []
signal.signal(signal.SIGSEGV, lambda *_: answers.append(1))
sampling(0.5)
for _ in range(3):
    os.kill(os.getpid(), signal.SIGSEGV)
    for _ in range(10):
        pass
sampled()
assert len(answers) == 3, answers
"""
    subprocess.run([sys.executable, "-c", PRELUDE + script], timeout=30, check=True)


# An op that ends early, and calls at a wrong moment or from another thread.


def is_sampled() -> bool:
    try:
        sampling(0.5)
    except RuntimeError:
        return True
    sampled()
    return False


def leaves(b: Benchmark) -> None:
    for _ in b.loop():
        if is_sampled():
            break


def fails(b: Benchmark) -> None:
    for _ in b.loop():
        if is_sampled():
            raise KeyError


def replaces_the_handler_and_fails(b: Benchmark) -> None:
    for _ in b.loop():
        if is_sampled():
            signal.signal(signal.SIGPROF, signal.SIG_IGN)
            raise KeyError


@pytest.mark.parametrize("function", [leaves, fails, replaces_the_handler_and_fails])
def test_what_ends_early_is_sampled_no_longer(function: Callable[[Benchmark], None]) -> None:
    with pytest.raises(BenchmarkFileError if function is leaves else KeyError):
        run_once(function, {}, SamplePass(0.1))
    assert not is_sampled()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the process has its timer from the beginning")
def test_without_a_timer_there_is_a_reason() -> None:
    script = """
import resource
from tallymark.bench.benchmark import run_once
from tallymark.bench.measure.passes.samples import SamplePass
resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
def op(b):
    for _ in b.loop():
        pass
measured = SamplePass(0.1)
run_once(op, {}, measured)
print(measured.problem)
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=30, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("no timer can be had:")


def test_another_thread_does_not_end_a_sampling() -> None:
    def end() -> None:
        with pytest.raises(RuntimeError, match="another thread is being sampled"):
            sampled()
        refused.append(True)

    refused: list[bool] = []
    sampling(0.5)
    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    interrupted()
    samples, _ = sampled()
    assert refused
    assert samples


def test_a_finalizer_that_samples_while_samples_are_read() -> None:
    class Samples:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            sampling(0.5)

    thresholds = gc.get_threshold()
    gc.disable()
    sampling(0.5)
    for _ in range(500):
        interrupted()
    Samples()
    gc.set_threshold(1)
    gc.enable()  # before 3.12 it collects inside of what reads the samples
    samples, _ = sampled()
    gc.set_threshold(*thresholds)
    gc.collect()
    interrupted()
    more, lost = sampled()
    assert len(samples) >= 500
    assert more
    assert not lost
