"""Targets: what is measured, an interpreter with a directory of code. A comparison has two."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tallymark.bench.errors import BenchError


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
        done = subprocess.run(shlex.split(setup), cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise BenchError(f"{name}: `{setup}` failed: {(done.stderr or done.stdout).strip()[-500:]}")
    sources = [str(one) for one in (root / "src", root) if one.is_dir()]
    return Target(name, sys.executable, str(root), tuple(sources))


@contextlib.contextmanager
def _checkout(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tallymark-ab-") as directory:
        root = Path(directory) / "checkout"
        try:
            _git("worktree", "add", "--detach", "--quiet", str(root), revision)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise BenchError(f"{revision}: not an environment, a directory or a git revision: {said.strip()}") from None
        try:
            yield root
        finally:
            _git("worktree", "remove", "--force", str(root))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)  # noqa: S603, S607
