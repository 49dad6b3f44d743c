"""`tallymark top` as users run it: in a terminal, with keys, and in pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import COMMAND, terminal

import tallymark as tm
from tallymark import cli
from tallymark.top import run

LEFT = b"\x1b[?1049l"
"""What ends the other screen."""
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
"""The cursor."""


@pytest.fixture(scope="module")
def service() -> Iterator[tm.Server]:
    """An endpoint with operations and routes."""
    registry = tm.Registry()
    for name in ("auth", "query"):
        registry.timer("operation_duration").record(0.1, operation=name, status="success")
    registry.counter("hits").inc(name="[red]\x1b[31m\u05e9")
    tm.process_metrics(registry)
    with tm.serve(port=0, registry=registry) as server:
        yield server


# In a terminal


@pytest.mark.slow
def test_keys_and_sizes(service: tm.Server) -> None:
    """All are heard at once, and not when the endpoint is read again."""
    whole = "(?s)%s.*operation +kind.*%s.*series that change"
    with terminal("top", service.url, "--every", "60") as screen:
        first = screen.wait_for(whole % ("sort: rate", "query +operation"))
        assert r"hits_total{name=[red]\x1b[31m\u05e9}" in first
        assert screen.settings != screen.former_settings
        screen.press("s")
        screen.wait_for(whole % ("sort: errors", "query +operation"))
        screen.press("/AU")
        screen.wait_for("filter: AU")
        screen.press("\r")
        assert "query" not in screen.wait_for(whole % ("/ filter: AU", "auth +operation"))
        screen.press("\x1b")
        screen.wait_for(whole % ("/ filter ", "query +operation"))
        screen.resize(44, 12)
        small = screen.wait_for(r"(?s)operation +per s +errors +p50 ms +p99 ms.*auth")
        assert "kind" not in small
        screen.press("q")
        assert screen.end() == 0
        assert screen.written.rindex(LEFT) > screen.written.rindex(b"auth")
        assert screen.written.rindex(SHOWN) > screen.written.rindex(HIDDEN)
        assert screen.settings == screen.former_settings
    assert b"Traceback" not in screen.written


@pytest.mark.slow
@pytest.mark.parametrize("end", ["Ctrl-C", "SIGHUP"])
def test_it_ends_cleanly(service: tm.Server, end: str) -> None:
    with terminal("top", service.url) as screen:
        screen.wait_for("q quit")
        if end == "Ctrl-C":
            screen.press("\x03")
        else:
            screen.process.send_signal(signal.Signals[end])
        assert screen.end() == 0
        assert screen.written.rindex(SHOWN) > screen.written.rindex(HIDDEN)
        assert LEFT in screen.written
        assert screen.settings == screen.former_settings
    assert b"Traceback" not in screen.written


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_and_are_then_as_they_were(number: signal.Signals) -> None:
    former = signal.getsignal(number)
    with run._ending_at_signals():
        signal.raise_signal(number)
        pytest.fail("it goes on")
    assert signal.getsignal(number) is former


def test_a_signal_that_is_ignored_stays_so() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with run._ending_at_signals():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


@pytest.mark.slow
def test_an_endpoint_that_dies_and_comes_back() -> None:
    registry = tm.Registry()
    registry.timer("operation_duration").record(0.1, operation="auth", status="success")
    server = tm.serve(port=0, registry=registry)
    port = server.port
    with terminal("top", server.url, "--every", "0.2") as screen:
        screen.wait_for("auth")
        server.close()
        screen.forget()
        dead = screen.wait_for("cannot be read, trying again every 0.2 s: .*nobody listens there")
        assert "auth" in dead
        with tm.serve(port=port, registry=registry):
            for _ in range(100):  # pictures
                screen.forget()
                if "trying again" not in screen.wait_for("q quit"):
                    break
            else:
                pytest.fail("it did not come back")
            screen.press("q")
            assert screen.end() == 0


@pytest.mark.slow
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(service: tm.Server) -> None:
    with terminal("top", service.url, "--every", "0.2", term="dumb") as screen:
        screen.wait_for(r"(?s)auth +operation.*auth +operation")
        screen.press("\x03")
        assert screen.end() == 0
    assert b"\x1b" not in screen.written


@pytest.mark.slow
def test_what_cannot_be_read_at_all_is_one_line_and_leaves_the_screen_alone() -> None:
    with terminal("top", "localhost:1") as screen:
        assert screen.end() == 1
        assert screen.settings == screen.former_settings
    assert b"\x1b" not in screen.written
    assert len(screen.written.splitlines()) == 1


# Elsewhere


@pytest.mark.slow
def test_a_pipe_gets_blocks_of_lines_until_it_is_interrupted(service: tm.Server) -> None:
    command = [*COMMAND, "top", service.url, "--every", "0.2"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            while not process.stdout.readline().startswith("auth "):
                pass
            while not process.stdout.readline().startswith("auth "):
                pass
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    assert "\x1b" not in rest


def test_once_is_two_readings(service: tm.Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["top", service.url, "--once", "--every", "0.1", "--filter", "auth"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(service.url)
    assert "auth       operation    0.0" in output
    assert "query" not in output


def test_a_shared_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys, tallymark as tm; registry = tm.Registry(shared=sys.argv[1]);"
        "tm.OperationalMetrics(registry).record_operation('send', 'error', 0.1)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")], check=True)
    living = tm.Registry(shared=tmp_path / "file")
    tm.OperationalMetrics(living).record_operation("auth", "success", 0.1)
    assert cli.main(["top", str(tmp_path / "file"), "--once", "--every", "0.1"]) == 0
    output = capsys.readouterr().out
    assert "  processes 1\n" in output
    assert "\nauth " in output
    assert "\nsend " in output


# What is not valid


@pytest.mark.parametrize(
    "arguments",
    [
        ["top"], ["top", "a", "--every", "0"], ["top", "a", "--every", "nan"], ["top", "a", "--sort", "size"],
        ["top", "a", "--timeout", "0"], ["top", "a", "--timeout", "inf"], ["top", "a", "--timeout", "1e300"],
        ["top", "a", "--every", "1e300"],
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: tallymark top" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["localhost:1"], "nobody listens there"), (["ftp://localhost"], "only http://"), (["/no/such"], "no such file"),
        (["localhost:1", "--user", "me"], "a colon"), (["localhost:1", "--user", "a:b", "--bearer", "c"], "both"),
        (["localhost:1", "--header", "x"], "a colon"), (["localhost:1", "--bearer", "@/no/such"], "/no/such"),
        (["localhost:1", "--bearer", f"@{sys.executable}"], "is not UTF-8"), (["localhost:1", "--header", ":x"], "the field"),
        (["localhost:1", "--header", "a b:x"], "the field"), (["https://localhost:1", "--ca", "/no/such"], "/no/such"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_status_1(arguments: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["top", *arguments, "--once"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("tallymark: ")
    assert what in errors
    assert errors.count("\n") == 1


def test_credentials_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("secret\n")
    registry = tm.Registry()
    registry.counter("hits").inc()
    with tm.serve(port=0, registry=registry, auth=tm.BearerAuth("secret")) as server:
        assert cli.main(["top", server.url, "--once", "--every", "0.1", "--bearer", f"@{tmp_path / 'token'}"]) == 0
    assert "hits_total" in capsys.readouterr().out
