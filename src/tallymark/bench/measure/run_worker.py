"""Runs one pass in a fresh process, and trusts nothing that it does: it may print, hang, crash or fork."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tallymark.bench.measure.drain import Drain
from tallymark.bench.measure.interrupt import held
from tallymark.bench.measure.target import Target

Answer = dict[str, Any]
WORKER = ("-m", "tallymark.bench.measure.worker")

NO_ANSWER = "ends its process without an answer: it must not call os._exit(), nor close what it did not open"
DAMAGED = "damages the answer of its process: it must not write to what it did not open"

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
        problem, printed = _run(target, [*WORKER, text], file, timeout, prefix, environ)
        return read_answer(file, problem, printed)


def read_answer(file: IO[bytes], problem: str, printed: int) -> Answer:
    """Return what a worker wrote into a file before it ended, and how it ended if that was wrong."""
    file.seek(0)
    answers = parse_answers(file.read())
    failed = [one for one in answers if "failed" in one]
    if failed:
        return dict(failed[0])
    if problem or not answers:
        return {"failed": problem or NO_ANSWER}
    return {**answers[0], "printed": printed}


def parse_answers(data: bytes) -> list[Answer]:
    """Return the answers that a worker, and children of it, wrote. A damaged one is a failure."""
    answers = []
    for line in data.splitlines():
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        answers.append(answer if isinstance(answer, dict) else {"failed": DAMAGED})
    return answers


def run_cold(target: Target, file: str, function: str, index: int, timeout: float) -> Answer:
    """Time a first op in a fresh process; see cold.py."""
    with tempfile.TemporaryFile() as answer:
        problem, _ = _run(target, [str(_COLD), file, function, str(index), str(answer.fileno())], answer, timeout)
        answer.seek(0)
        try:
            numbers = [float(one) for one in answer.read().split()]
        except ValueError:
            return {"failed": DAMAGED}
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
    with contextlib.ExitStack() as stack:
        try:
            with held():
                process = Process(target, arguments, [answer.fileno()], prefix=prefix, environ=environ)
                stack.callback(process.end)
        except OSError as error:
            return not_started(target, error), 0
        return process.wait(timeout), process.printed


def not_started(target: Target, error: OSError) -> str:
    """Return why the Python of a target did not start."""
    what = target.python if Path(target.root).is_dir() else f"its directory {target.root} is gone: {target.python}"
    return f"{what} does not start: {error.strerror or error}"


class Process:
    """A target's Python that runs now, in a session of its own, with nobody to read what it prints.

    Args:
        passed: descriptors that it inherits.
        seed: of its hashes, random if None.
        prefix: a program that runs it.
        environ: replaces the environment; nothing is then imported from the current directory.

    Raises OSError when it does not start.
    """

    def __init__(
        self,
        target: Target,
        arguments: Sequence[str],
        passed: Sequence[int],
        seed: int | None = None,
        *,
        prefix: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        path = os.pathsep.join([*target.path, *filter(None, [os.environ.get("PYTHONPATH")])])
        hashes = {"PYTHONHASHSEED": "random" if seed is None else str(seed)}
        kept = {**os.environ, **hashes} if environ is None else environ
        self._python = target.python
        self._process = subprocess.Popen(  # noqa: S603
            [*prefix, target.python, *(() if environ is None else ("-P",)), *arguments],
            cwd=target.root,
            env={**kept, **({"PYTHONPATH": path} if path else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            start_new_session=True,  # so that all of its children can be killed, and Ctrl-C reaches the parent alone
        )
        self._said, self._complaints = Drain(self._process.stdout), Drain(self._process.stderr)
        self._over = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def printed(self) -> int:
        """Bytes that it printed: all of them, once it has ended."""
        return self._said.size

    def wait(self, timeout: float) -> str:
        """Wait for its end; return what went wrong, empty if nothing."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return too_long(timeout)
        self.end()
        return _problem(self._python, status, self._complaints.tail)

    def end(self) -> None:
        """Kill it and all that it started, and read what they have printed."""
        if self._over:
            return
        self._over = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._said.end()
        self._complaints.end()


def too_long(timeout: float) -> str:
    return f"takes too long: killed after {timeout:g} s; make the op smaller, or raise --timeout"


def _problem(python: str, status: int, complaint: bytes) -> str:
    if status == 0:
        return ""
    if b"No module named 'tallymark" in complaint:
        return f"{python} cannot import tallymark.bench, which runs the benchmarks: install tallymark there"
    last = complaint.decode(errors="replace").strip().splitlines()[-1:] or [
        "no message; does it close files that it did not open?"
    ]
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"ends with status {status}: {last[0][:300]}"
