"""`JSONLines`: its lines, and files that are rotated, full, torn or gone; streams that are closed."""

from __future__ import annotations

import fcntl
import io
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from golden_file import golden
from hypothesis import given
from hypothesis import strategies as st
from one_report import body, send

import tallymark as tm
from everything import everything, family, tags
from tallymark.backends import JSONLines
from tallymark.client.deadline import Deadline
from tallymark.report.errors import SendError


def gauge(value: float, **labels: str) -> tm.Snapshot:
    return tm.Snapshot((family("g", "gauge", tm.GaugeData(tags(labels), (0.0,), (value,))),), 1.0)


def read(path: Path) -> list[dict[str, Any]]:
    return [strict(line) for line in path.read_bytes().decode().splitlines()]


def strict(line: str) -> dict[str, Any]:
    """Parse a line as RFC 8259 has it: no NaN, no key twice."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        assert len(found) == len(pairs)
        return found

    found: dict[str, Any] = json.loads(line, parse_constant=refuse, object_pairs_hook=unique)
    return found


def test_the_bytes_are_these() -> None:
    made = body(JSONLines(io.BytesIO(), prefix="app.", tags={"host": "h", "path": "ours"}), everything())
    assert made == golden("json-lines.jsonl", made)
    assert [strict(line)["metric"][:4] for line in made.decode().splitlines()] == ["app."] * sum(1 for _ in everything())


@given(st.text(), st.text(), st.text(), st.floats())
def test_nobody_forges_a_line_or_a_key(name: str, value: str, unit: str, number: float) -> None:
    data = tm.GaugeData(tags({"a": value, "b": "c"}), (0.0,), (number,))
    made = body(JSONLines(io.BytesIO()), tm.Snapshot((family(name, "gauge", data, unit=unit),), 1.0))
    (line,) = made.decode().splitlines()  # which splits at more than newlines
    got = strict(line)
    same = str.encode(name, "utf-16", "surrogatepass").decode("utf-16", "replace")
    assert got["metric"].encode("utf-16", "surrogatepass").decode("utf-16", "replace") == same
    assert got["tags"] == data.tags[0]
    assert got["value"] == (number if abs(number) < float("inf") else None)
    assert list(got) == ["time", "metric", "kind", "unit", "tags", "value"]


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1e300, -5.0, 1e300])
def test_a_clock_that_is_wrong_makes_no_line_invalid(time: float) -> None:
    made = body(JSONLines(io.BytesIO()), tm.Snapshot(gauge(1.0).families, time))
    assert strict(made.decode())["time"] in ("1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z")


def test_values_that_json_cannot_carry_are_null_and_told_once() -> None:
    backend, told = JSONLines(io.BytesIO()), []
    backend.on_dropped = lambda metric, reason: told.append((metric, reason))
    assert b'"value":null' in body(backend, gauge(float("nan")))
    body(backend, everything())
    assert told == [("g", "unsupported_value"), ("sent.total", "unsupported_value")]


def test_reports_are_appended_after_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"from":"before"}\n')
    backend = JSONLines(path)
    assert send(backend, gauge(1.0)) + send(backend, gauge(2.0)) + 18 == path.stat().st_size
    backend.close()
    send(backend, gauge(3.0))
    assert [line.get("value") for line in read(path)] == [None, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("removed", [True, False])
def test_a_file_that_was_rotated_is_made_anew(tmp_path: Path, removed: bool) -> None:
    path = tmp_path / "metrics.jsonl"
    backend = JSONLines(str(path))
    send(backend, gauge(1.0))
    path.unlink() if removed else path.rename(tmp_path / "metrics.jsonl.1")
    send(backend, gauge(2.0))
    assert [line["value"] for line in read(path)] == [2.0]
    assert removed or [line["value"] for line in read(tmp_path / "metrics.jsonl.1")] == [1.0]


def test_a_file_that_was_truncated_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    backend = JSONLines(path)
    send(backend, gauge(1.0))
    os.truncate(path, 0)
    send(backend, gauge(2.0))
    assert [line["value"] for line in read(path)] == [2.0]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: the system then writes a part, and fails, as it does when a disk is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_of_lines_that_do_not_fit_on_the_disk_nothing_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    backend = JSONLines(path)
    send(backend, gauge(1.0))
    before = path.read_bytes()
    with (
        largest_file(len(before) + 20),
        pytest.raises(SendError, match=r"metrics\.jsonl cannot be written: File too large") as info,
    ):
        send(backend, gauge(2.0))
    assert info.value.again
    assert path.read_bytes() == before
    send(backend, gauge(2.0))
    assert [line["value"] for line in read(path)] == [1.0, 2.0]


def test_a_full_disk_is_told() -> None:
    with pytest.raises(SendError, match="/dev/full cannot be written: No space left on device") as info:
        send(JSONLines("/dev/full"), gauge(1.0))
    assert info.value.again


def test_a_line_that_somebody_was_killed_in_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"value":1.0}\n{"val')
    send(JSONLines(path), gauge(2.0))
    first, torn, ours = path.read_text().splitlines()
    assert (first, torn) == ('{"value":1.0}', '{"val')
    assert strict(ours)["value"] == 2.0


def test_what_others_wrote_after_a_part_of_ours_is_not_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    backend = JSONLines(path)
    write, calls = os.write, iter([10, 0])

    def full(file: int, data: bytes) -> int:
        size = next(calls)
        if not size:
            with path.open("a") as other:
                other.write("\nother\n")
            raise OSError(28, "No space left on device")
        return write(file, data[:size])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(SendError):
            send(backend, gauge(1.0))
    send(backend, gauge(2.0))
    torn, other, ours = path.read_text().splitlines()
    assert (torn, other, strict(ours)["value"]) == ('{"time":"1', "other", 2.0)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: None], ids=["a-directory", "no-directory"])
def test_a_path_that_cannot_be_opened_is_tried_again(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "a"
    make(path)
    with pytest.raises(SendError, match=r"cannot be written: (Is a directory|No such file or directory)") as info:
        send(JSONLines(path if path.exists() else path / "b"), gauge(1.0))
    assert info.value.again


def test_a_pipe_that_nobody_reads_ends_in_time_and_its_torn_line_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    backend = JSONLines(path)
    with pytest.raises(SendError, match="cannot be written: nobody reads the pipe"):
        send(backend, gauge(1.0))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    clock = iter([0.0, 0.0, 0.0, 9.0])
    with pytest.raises(SendError, match="has not taken all in time; does anybody read it"):
        backend.send([b"x" * 2**17], Deadline(5.0, lambda: next(clock)))
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.extend(iter(lambda: os.read(reader, 2**16), b"")))
    os.set_blocking(reader, True)
    thread.start()
    send(backend, gauge(2.0))
    backend.close()
    thread.join(10)
    os.close(reader)
    torn, line, end = b"".join(got).split(b"\n")
    assert (set(torn), end) == ({ord("x")}, b"")
    assert strict(line.decode())["value"] == 2.0


def test_a_pipe_of_a_process_with_very_many_files_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`select` knows no file above 1,023."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("so many files cannot be opened here")
    opened = os.open

    def high(*args: Any, **kwargs: Any) -> int:
        low = opened(*args, **kwargs)
        try:
            return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 1500)
        finally:
            os.close(low)

    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048 if soft < 2048 else soft, hard))
    try:
        monkeypatch.setattr(os, "open", high)
        clock = iter([0.0, 0.0, 0.0, 4.99, 9.0])
        with pytest.raises(SendError, match="has not taken all in time; does anybody read it"):
            JSONLines(path).send([b"x" * 2**17], Deadline(5.0, lambda: next(clock)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(reader)


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backend = JSONLines("metrics.jsonl")
    monkeypatch.chdir("/")
    send(backend, gauge(1.0))
    assert [line["value"] for line in read(tmp_path / "metrics.jsonl")] == [1.0]
    assert repr(backend) == f"<JSONLines {tmp_path}/metrics.jsonl>"


def test_streams_of_text_and_of_bytes_get_utf_8(tmp_path: Path) -> None:
    latin = io.TextIOWrapper(io.BytesIO(), "latin-1")
    latin.write("é\n")
    text, binary = io.StringIO(), io.BytesIO()
    for stream in (latin, text, binary):
        send(JSONLines(stream), gauge(1.0, city="Łódź"))
    assert latin.buffer.getvalue() == b"\xe9\n" + binary.getvalue()  # type: ignore[attr-defined]
    assert binary.getvalue() == text.getvalue().encode()
    assert strict(text.getvalue())["tags"] == {"city": "Łódź"}
    with (tmp_path / "raw").open("wb", buffering=0) as raw:
        send(JSONLines(raw), gauge(1.0, city="Łódź"))
        assert not raw.closed
        assert (tmp_path / "raw").read_bytes() == binary.getvalue()


def test_a_stream_is_flushed(tmp_path: Path) -> None:
    with (tmp_path / "buffered").open("w") as stream:
        size = send(JSONLines(stream), gauge(1.0))
        assert (tmp_path / "buffered").stat().st_size == size


def test_a_stream_is_never_closed_and_one_that_is_closed_is_given_up() -> None:
    stream = io.BytesIO()
    backend = JSONLines(stream)
    send(backend, gauge(1.0))
    backend.close()
    send(backend, gauge(2.0))
    stream.close()
    with pytest.raises(SendError, match=r"^BytesIO cannot be written: I/O operation on closed file") as info:
        send(backend, gauge(3.0))
    assert not info.value.again


def test_what_is_wrong_with_an_open_file_is_told_in_words(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    with open("/dev/full", "wb", buffering=0) as stream, pytest.raises(tm.ReportError) as raised:
        tm.report_once(JSONLines(stream), registry, timeout=0.2)
    words = "the report did not arrive within 0.2 s: it cannot be written: No space left on device"
    assert str(raised.value) == f"json_lines /dev/full: {words}"


def test_a_pipe_whose_reader_left_is_given_up() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with (
        os.fdopen(writer, "wb", buffering=0) as stream,
        pytest.raises(SendError, match="nobody reads the stream any more") as info,
    ):
        send(JSONLines(stream), gauge(1.0))
    assert not info.value.again


@pytest.mark.slow
def test_standard_output_gets_whole_lines_in_the_order_of_what_is_printed() -> None:
    program = (
        "import sys, time, tallymark as tm\n"
        "from tallymark.backends import JSONLines\n"
        "from tallymark.client.deadline import Deadline\n"
        "tm.counter('c').inc(city='Łódź')\n"
        "backend = JSONLines(sys.stdout)\n"
        "print('before')\n"
        "backend.send(list(backend.encode(tm.registry().snapshot(), 0.0)), Deadline(5.0, time.monotonic))\n"
        "print('after')\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True, timeout=60)
    before, *lines, after = done.stdout.decode().splitlines()
    assert (before, after) == ("before", "after")
    assert {"city": "Łódź"} in [strict(line)["tags"] for line in lines]


@pytest.mark.parametrize("wrong", [7, None, b"path"])
def test_what_is_neither_a_path_nor_a_stream_is_told_at_once(wrong: Any) -> None:
    with pytest.raises(TypeError, match="JSONLines writes to a path or to a stream"):
        JSONLines(wrong)


@pytest.mark.parametrize("wrong", ["", "a\0b"])
def test_what_no_file_can_be_called_is_told_at_once(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"no file can be called '(|a.x00b)'"):
        JSONLines(wrong)


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_lines_that_are_whole_but_for_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    program = (
        "import sys, time, tallymark as tm\n"
        "from tallymark.backends import JSONLines\n"
        "from tallymark.client.deadline import Deadline\n"
        "registry = tm.Registry()\n"
        "for i in range(900): registry.counter('c').inc(i=str(i))\n"
        "backend = JSONLines(sys.argv[1])\n"
        "while True:\n"
        "    backend.send(list(backend.encode(registry.snapshot(), 0.0)), Deadline(5.0, time.monotonic))\n"
    )
    for _ in range(3):
        size = path.stat().st_size if path.exists() else 0
        with subprocess.Popen([sys.executable, "-c", program, str(path)]) as process:
            deadline = time.monotonic() + 30
            while not path.exists() or path.stat().st_size < size + 500_000:
                assert time.monotonic() < deadline
            process.send_signal(signal.SIGKILL)
    send(JSONLines(path), gauge(1.0))
    lines = path.read_text().splitlines()
    broken = [line for line in lines if not line.endswith("}")]
    assert len(broken) <= 3
    assert strict(lines[-1])["metric"] == "g"
