"""Runs one pass in a fresh process, and trusts nothing that it does: it may print, hang, crash or fork."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tallymark.bench.measure.target import Target

Answer = dict[str, Any]

_COLD = Path(__file__).with_name("cold.py")


def run_worker(
    target: Target,
    request: dict[str, Any],
    timeout: float,
    *,
    prefix: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Answer:
    """Run a request in a worker, and return its answer. What went wrong, if anything, is one line under `failed`.

    `prefix` is a program that runs it. `environ` replaces the environment, and nothing is imported from the current directory.
    """
    with tempfile.TemporaryFile() as file:
        text = json.dumps({**request, "answer": file.fileno()})
        problem, printed = _run(target, ["-m", "tallymark.bench.measure.worker", text], file, timeout, prefix, environ)
        file.seek(0)
        answers = [json.loads(line) for line in file.read().splitlines()]
    failed = [one for one in answers if "failed" in one]
    if failed:
        return dict(failed[0])
    if problem or not answers:
        return {"failed": problem or "the process ended without an answer: does the benchmark call os._exit()?"}
    return {**answers[0], "printed": printed}


def run_cold(target: Target, file: str, function: str, index: int, timeout: float) -> Answer:
    """Time a first op in a fresh process; see cold.py."""
    with tempfile.TemporaryFile("w+") as answer:
        problem, _ = _run(target, [str(_COLD), file, function, str(index), str(answer.fileno())], answer, timeout)
        answer.seek(0)
        numbers = [float(one) for one in answer.read().split()]
    if problem or len(numbers) != 3:
        return {"failed": problem or "the process ended before the first op did: does the benchmark call os._exit()?"}
    return dict(zip(("imports", "setup", "first"), numbers, strict=True))


def _run(
    target: Target,
    arguments: list[str],
    answer: IO[Any],
    timeout: float,
    prefix: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> tuple[str, int]:
    """Run the target's Python; return what went wrong (empty if nothing), and how many bytes it printed."""
    path = os.pathsep.join([*target.path, *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {**os.environ, "PYTHONHASHSEED": "random"} if environ is None else environ
    environment = {**kept, **({"PYTHONPATH": path} if path else {})}
    try:
        process = subprocess.Popen(  # noqa: S603
            [*prefix, target.python, *(() if environ is None else ("-P",)), *arguments],
            cwd=target.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[answer.fileno()],
            start_new_session=True,  # so that all of its children can be killed, and Ctrl-C reaches the parent alone
        )
    except OSError as error:
        return f"{target.python} does not start: {error.strerror or error}", 0
    said, complaints = _Drain(process.stdout), _Drain(process.stderr)
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"takes too long: killed after {timeout:g} s; make the op smaller, or raise --timeout", said.size
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said.end()
        complaints.end()
    return _problem(target.python, status, complaints.tail), said.size


def _problem(python: str, status: int, complaint: bytes) -> str:
    if status == 0:
        return ""
    if b"No module named 'tallymark" in complaint:
        return f"{python} cannot import tallymark.bench, which runs the benchmarks: install tallymark there"
    last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"ends with status {status}: {last[0][:300]}"


class _Drain:
    """Reads a pipe to its end, so that its writer never waits; keeps the size, and the last 4 KiB."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None  # noqa: S101
        self.size, self.tail = 0, b""
        self._pipe = pipe
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._pipe.fileno(), 65536):
            self.size += len(chunk)
            self.tail = (self.tail + chunk)[-4096:]

    def end(self) -> None:
        self._thread.join()
        self._pipe.close()
