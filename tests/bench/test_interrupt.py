"""Signals that end the measuring: one interruption each, held back while work must not be cut short. And draining pipes."""

import os
import signal
import subprocess
import threading
import time

import pytest

from tallymark.bench.measure.drain import KEPT, Drain
from tallymark.bench.measure.interrupt import held, interruptible


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_interrupts_and_later_ones_do_nothing(number, status):
    inherited = signal.signal(number, signal.default_int_handler)  # under nohup, SIGHUP is ignored
    try:
        with interruptible() as interruption:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            for one in (number, signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(one)
            assert interruption.status == status
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, inherited)


def held_and_interrupted(done):
    with held():
        with held():
            signal.raise_signal(signal.SIGTERM)
            done.append("inner")
        done.append("outer")


def test_a_block_that_is_held_is_not_cut_short():
    done = []
    with interruptible() as interruption:
        with pytest.raises(KeyboardInterrupt):
            held_and_interrupted(done)
        assert interruption.status == 143
    assert done == ["inner", "outer"]


def held_and_wrong():
    with held():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("own")


def test_what_raises_in_a_held_block_is_raised_first():
    with interruptible() as interruption:
        with pytest.raises(ValueError, match="own"):
            held_and_wrong()
        assert interruption.status == 143


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGHUP)
        assert interruption.status == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_installed():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def run():
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_pipe_is_drained_to_its_end():
    reader, writer = os.pipe()
    drain = Drain(os.fdopen(reader, "rb"))
    for _ in range(40):
        os.write(writer, b"x" * 65536)
    os.write(writer, b"last")
    os.close(writer)
    drain.end()
    assert drain.size == 40 * 65536 + 4
    assert drain.tail == b"x" * (KEPT - 4) + b"last"


def test_a_child_that_keeps_a_pipe_open_delays_nobody():
    reader, writer = os.pipe()
    drain = Drain(os.fdopen(reader, "rb"))
    os.write(writer, b"said")
    drain.end()
    assert drain.tail == b"said"
    os.close(writer)


def test_a_child_that_prints_for_ever_delays_nobody():
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as flood:
        drain = Drain(flood.stdout)
        while drain.size <= KEPT:  # until it has begun
            time.sleep(0.01)
        drain.end()
        flood.kill()
    assert drain.size > KEPT
