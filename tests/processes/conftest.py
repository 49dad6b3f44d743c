"""Registries that processes share, and children to share them with."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import tallymark as tm


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture(params=["inherited", "file"])
def shared(request: pytest.FixtureRequest, path: Path) -> tm.Registry:
    """A registry that processes share, in both ways."""
    return tm.Registry(engine="native", shared=True if request.param == "inherited" else path)


class Children:
    """Forked children, which end with the function that they were given; what is left is killed."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    def start(self, work: Callable[[], object]) -> int:
        with warnings.catch_warnings():
            # Another test's thread may not have ended yet; a child here takes no lock that one could hold.
            warnings.simplefilter("ignore", DeprecationWarning)
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
        self.pids.append(pid)
        return pid

    def run(self, work: Callable[[], object]) -> int:
        """Run to the end; return the exit status, negative for a signal."""
        return self.wait(self.start(work))

    def wait(self, pid: int) -> int:
        self.pids.remove(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self.wait(pid) == -signal.SIGKILL


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children()
    yield made
    for pid in list(made.pids):
        made.kill(pid)


@pytest.fixture
def stopped_lock() -> Callable[[tm.Registry], AbstractContextManager[None]]:
    """Another process' lock, without the process."""

    @contextlib.contextmanager
    def held(registry: tm.Registry) -> Iterator[None]:
        with open(registry._families.memory.path, "r+b") as file:  # type: ignore[union-attr, arg-type]
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 2**40, 1, 0)
            fcntl.fcntl(file.fileno(), 37, lock)  # F_OFD_SETLK
            yield

    return held


@pytest.fixture
def run_with(tmp_path: Path) -> Callable[..., str]:
    """Runs a program with a library before all others; returns what it prints."""
    compiler = shutil.which("gcc") or pytest.skip("needs gcc")

    def run(source: str, program: str, **environ: str) -> str:
        (tmp_path / "interposed.c").write_text(source)
        library = tmp_path / "interposed.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "interposed.c", "-ldl"], check=True)
        preload = ":".join([*filter(None, [os.environ.get("LD_PRELOAD")]), str(library)])
        done = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | environ | {"LD_PRELOAD": preload}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
