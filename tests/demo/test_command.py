"""The command line: its options, and every way to end."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import threading
import time

import pytest
from demo_process import COMMAND, running_demo

import tallymark as tm
from tallymark import cli
from tallymark.demo import run

pytestmark = pytest.mark.slow

# What makes no sense


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--seconds", "-1"], ["demo", "--seconds", "nan"], ["demo", "--seconds", "inf"], ["demo", "--seconds", "soon"],
        ["demo", "--port", "-1"], ["demo", "--port", "65536"], ["demo", "--port", "http"],
        ["demo", "--rate", "0"], ["demo", "--rate", "10001"], ["demo", "--rate", "nan"],
        ["demo", "--rate", "1e-10"], ["demo", "--rate", "-1"],
        ["demo", "more"], ["dance"], ["--dance"],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert arguments[-1] in capsys.readouterr().err


def test_without_a_command_it_shows_its_help_and_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "demo" in capsys.readouterr().err


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tallymark {tm.__version__}\n"


@pytest.mark.parametrize("arguments", ["demo --seconds 0.1 --port 0", "--help", ""])
def test_without_standard_output_it_says_so_and_is_status_1(arguments: str) -> None:
    command = f"exec {shlex.join(COMMAND)} {arguments} >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "tallymark: standard output is closed\n")


# Ports


def test_a_port_in_use_is_passed_over_for_the_next_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with running_demo("--seconds", "2", "--port", str(taken)) as demo:
            assert taken < demo.port <= taken + 100
            assert f"port {taken} is in use" in demo.first_line
            assert "operations_total" in demo.scrape()
            outcome = demo.end()
    assert (outcome.status, outcome.errors) == (0, "")
    assert outcome.output.count("p99 ms") >= 1
    assert f"http://127.0.0.1:{demo.port}/ " in outcome.end


@pytest.mark.parametrize(("port", "tries"), [(9464, 101), (65500, 36), (65535, 1), (0, 1)])
def test_it_gives_up_after_a_hundred_further_ports(
    port: int, tries: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = []

    def serve(port: int, **options: object) -> None:
        tried.append(port)
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(run, "serve", serve)
    assert cli.main(["demo", "--port", str(port)]) == 1
    assert tried == list(range(port, port + tries))
    assert "Address already in use" in capsys.readouterr().err


def test_a_port_that_may_not_be_used_is_an_error_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(**options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(run, "serve", serve)
    assert cli.main(["demo", "--port", "80"]) == 1
    assert capsys.readouterr().err == "tallymark: [Errno 13] Permission denied\n"


# Ends


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT], [signal.SIGTERM, signal.SIGINT]])
def test_a_signal_ends_it_from_the_first_line_on(signals: list[signal.Signals]) -> None:
    with running_demo("--seconds", "0", "--port", "0") as demo:
        outcome = demo.end(*signals)
    assert (outcome.status, outcome.errors) == (0, "")
    assert " operations ended, " in outcome.end


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    with running_demo("--seconds", "0", "--port", "0") as demo:
        demo.stdout.close()
        assert demo.process.stderr is not None
        assert demo.process.stderr.read() == ""
        assert demo.process.wait(timeout=60) == 0


def test_it_leaves_no_thread_and_no_handler_behind(capsys: pytest.CaptureFixture[str]) -> None:
    threads = set(threading.enumerate())
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert cli.main(["demo", "--seconds", "0.2", "--port", "0"]) == 0
    assert not set(threading.enumerate()) - threads
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert " operations ended, " in capsys.readouterr().out


# Terminals


def terminal_output(*arguments: str, term: str) -> str:
    """Return all that the command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": term, "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen([*COMMAND, *arguments], stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        try:
            written = _read_all(ours)
            assert process.wait(timeout=60) == 0, written
        finally:
            process.kill()
            os.close(ours)
    return written.decode()


def _read_all(terminal: int) -> bytes:
    written = b""
    deadline = time.monotonic() + 60
    while select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux's word for: nobody has the other end open any more
            return written
        if not chunk:
            return written
        written += chunk
    pytest.fail(f"the command did not end; it wrote {written!r}")


def test_a_terminal_gets_a_live_table() -> None:
    written = terminal_output("demo", "--seconds", "2", "--port", "0", term="xterm-256color")
    live, summary = written.split(" seconds, ")
    assert "\x1b[?25l" in live  # the cursor is hidden while the table is redrawn
    assert live.count("errors/s") >= 2
    assert live.rindex("\x1b[?25h") > live.rindex("\x1b[?25l")  # and is there again afterwards
    assert re.search(r"\x1b\[[\d;]*mquery", summary)
    assert "demo --seconds 0" in summary
    assert "Traceback" not in written


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines() -> None:
    written = terminal_output("demo", "--seconds", "0.5", "--port", "0", term="dumb")
    assert "\x1b" not in written
    assert "─" not in written
    assert "\nquery " in written
