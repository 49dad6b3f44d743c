"""Counts a benchmark's instructions in processes that resemble each other: the same paths, the same hashes, the same addresses.

What differs between two sides of a comparison, other than their code, would be counted too. So each process has a fixed hash
seed, no random addresses, and sees its code below one path, a symbolic link that leads to each side in turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tallymark.bench.errors import BenchError
from tallymark.bench.instructions import choose_counter
from tallymark.bench.measure.run_worker import Answer, run_worker
from tallymark.bench.measure.target import Target

SEEDS = (0, 1, 2)
_AGREE = 0.001  # hash seeds whose counts differ by less need no third one
_VALGRIND = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--vgdb=no")
_ADDR_NO_RANDOMIZE = 0x0040000  # personality(2)
_PERSONALITY_QUERY = 0xFFFFFFFF
_VOLATILE = ("_", "OLDPWD", "PWD", "SHLVL")  # what differs between two shells, or two commands of one


def count_instructions(target: Target, request: dict[str, Any], timeout: float, wanted: str) -> Answer:
    """Count one op's instructions, for two fixed hash seeds or all if these differ; return an answer as `run_worker` does.

    Args:
        wanted: see `choose_counter`. With `auto`, the answer is empty where the processor has no counter.
    """
    counter, why = choose_counter(wanted)
    if not counter:
        return {} if wanted == "auto" else {"unavailable": f"instructions cannot be counted: {why}"}
    answers = []
    for seed in SEEDS:
        answer = _in_fixed_process(target, {**request, "counter": counter}, timeout, seed)
        if "instructions" not in answer:
            return _explained(answer)
        answers.append(answer)
        if len(answers) == 2 and _agree(answers):
            break
    counted = [one["instructions"] for one in answers]
    found = {
        "per_op": round(statistics.fmean(statistics.median(one["samples"]) for one in counted), 3),
        "counter": counter,
        "seeds": SEEDS[: len(counted)],
        "samples": [one["samples"] for one in counted],
        "ops": sum(one["ops"] for one in counted),
        "path": counted[0]["path"],
    }
    return {**answers[0], "instructions": found}


def _agree(answers: Sequence[Answer]) -> bool:
    one, other = (statistics.median(answer["instructions"]["samples"]) for answer in answers)
    return bool(abs(one - other) <= _AGREE * max(one, other))


def _explained(answer: Answer) -> Answer:
    if "KeyError: 'instructions'" in answer.get("failed", ""):
        return {"failed": "the tallymark on this side is older, and counts no instructions"}
    return answer


def _in_fixed_process(target: Target, request: dict[str, Any], timeout: float, seed: int) -> Answer:
    with _one_path() as base, _fixed_addresses():
        seen, file = _linked(base, target, request["file"])
        stem = base / "callgrind"
        prefix = (*_VALGRIND, f"--callgrind-out-file={stem}") if request["counter"] == "callgrind" else ()
        environment = {key: value for key, value in sorted(os.environ.items()) if key not in _VOLATILE}
        environment |= {"PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            return run_worker(
                seen, {**request, "file": file, "stem": str(stem), "seed": seed}, timeout, prefix=prefix, environ=environment
            )
        finally:
            for left in base.glob("callgrind*"):
                left.unlink()


@contextlib.contextmanager
def _one_path() -> Iterator[Path]:
    """Give a directory that has the same path for all runs of this user, and is this process' own meanwhile.

    Raises BenchError if it is another user's.
    """
    base = Path(tempfile.gettempdir()) / f"tallymark-instructions-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if found.st_uid != os.getuid() or base.is_symlink() or found.st_mode & 0o077:
        raise BenchError(f"{base}: it must be a directory of your own that others cannot write to; remove it")
    with open(base / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run waits here; the lock ends with the process
        yield base


def _linked(base: Path, target: Target, file: str) -> tuple[Target, str]:
    """Return a target and its benchmark file as they are seen through links in `base`."""
    root = Path(target.root).resolve()
    side = _link(base / "side", root)

    def through(path: str) -> str:
        return str(side / Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path

    python = Path(target.python)
    if (python.parent.parent / "pyvenv.cfg").exists():
        python = _link(base / "environment", python.parent.parent.absolute()) / python.parent.name / python.name
    path = [str(side), *(through(str(Path(one).resolve())) for one in target.path)]
    return replace(target, python=str(python), root=str(side), path=tuple(dict.fromkeys(path))), through(file)


def _link(link: Path, to: Path) -> Path:
    link.unlink(missing_ok=True)
    link.symlink_to(to)
    return link


@contextlib.contextmanager
def _fixed_addresses() -> Iterator[None]:
    """Start processes without random addresses, where the system allows it. The setting is this thread's, and inherited."""
    personality = getattr(ctypes.CDLL(None), "personality", None)
    if personality is None:
        yield
        return
    personality.argtypes = [ctypes.c_ulong]
    before = personality(_PERSONALITY_QUERY)
    if before != -1:
        personality(before | _ADDR_NO_RANDOMIZE)
    try:
        yield
    finally:
        if before != -1:
            personality(before)
