"""Targets: what is measured, an interpreter with a directory of code. A comparison has two."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallymark.bench.errors import BenchError
from tallymark.bench.measure.interrupt import held

_LINES, _SAID = 10, 4096  # of what a command said before it failed, at most


@dataclass(frozen=True)
class Target:
    """What is measured: an interpreter with a directory of code.

    Attributes:
        name: how reports name it.
        python: the interpreter's path.
        root: the directory where benchmark files are found and run.
        path: directories to import from before the interpreter's own packages.
    """

    name: str = "this"
    python: str = sys.executable
    root: str = "."
    path: tuple[str, ...] = ()


def check_target(name: str, setup: str = "") -> None:
    """Raise BenchError unless `resolve` knows a name, and can run the command: cheap, and changes nothing."""
    path = Path(name)
    _words(setup)
    if not (path.is_file() and os.access(path, os.X_OK)) and not path.is_dir():
        try:
            _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except (OSError, subprocess.CalledProcessError) as error:
            raise _unknown(name, error) from None


@contextlib.contextmanager
def resolve(name: str, setup: str = "") -> Iterator[Target]:
    """Give the target of a name on the command line: a virtual environment, a Python, a directory, or a git revision.

    A revision is checked out into a temporary directory, which is removed at the end. `setup` is a command to run in the
    directory first, for example to build an extension. Raises BenchError if the name is none of these, or the command fails.
    """
    path = Path(name)
    if path.is_file() and os.access(path, os.X_OK):
        yield Target(name, str(path.absolute()))
    elif (path / "bin" / "python").exists():
        yield Target(name, str((path / "bin" / "python").absolute()))
    elif path.is_dir():
        yield _directory(name, path.resolve(), setup)
    else:
        with _checkout(name) as root:
            yield _directory(name, root, setup)


def _directory(name: str, root: Path, setup: str) -> Target:
    if setup:
        _set_up(name, root, setup)
    sources = [str(one) for one in (root / "src", root) if one.is_dir()]
    return Target(name, sys.executable, str(root), tuple(sources))


def _set_up(name: str, root: Path, setup: str) -> None:
    """Run a command in a session of its own, so that all that it starts can be killed when the run is interrupted."""
    with contextlib.ExitStack() as stack, tempfile.TemporaryFile() as said:
        try:
            with held():
                process = subprocess.Popen(  # noqa: S603
                    _words(setup), cwd=root, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
                )
                stack.callback(_kill, process)
        except OSError as error:
            raise BenchError(f"{name}: `{setup}` does not start: {error.strerror or error}") from None
        status = process.wait()
        if status != 0:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _SAID))
            lines = said.read().decode(errors="replace").strip().splitlines()[-_LINES:]
            last = "".join(f"\n  {line}" for line in lines) or " it printed nothing"
            raise BenchError(f"{name}: `{setup}` failed with status {status}:{last}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _words(setup: str) -> list[str]:
    try:
        return shlex.split(setup)
    except ValueError as error:
        raise BenchError(f"--setup {setup!r} is not valid: {error}") from None


@contextlib.contextmanager
def _checkout(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tallymark-ab-", ignore_cleanup_errors=True) as directory:
        root = Path(directory) / "checkout"
        try:
            try:
                with held():
                    _git("worktree", "add", "--detach", "--quiet", str(root), revision)
            except (OSError, subprocess.CalledProcessError) as error:
                raise _unknown(revision, error) from None
            yield root
        finally:
            with held(), contextlib.suppress(OSError, subprocess.CalledProcessError):
                _git("worktree", "remove", "--force", "--force", str(root))


def _unknown(name: str, error: Exception) -> BenchError:
    said = (getattr(error, "stderr", "") or "").strip() or "git knows no such revision here"
    return BenchError(f"{name}: not an environment, a directory or a git revision: {said}")


def _git(*arguments: str) -> None:
    # In a session of its own: Ctrl-C must not end what cleans up.
    subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, start_new_session=True)  # noqa: S603, S607
