"""Benchmark files on disk, and the command that runs them in processes of their own."""

import os
import subprocess
import sys

import pytest

from tallymark.cli import main


class Bench:
    """A directory with benchmark files, and `tallymark bench` in it."""

    def __init__(self, root):
        self.root = root

    def write(self, name, source):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
        return path

    def __call__(self, *arguments, status=0, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "tallymark", "bench", *map(str, arguments)],
            cwd=self.root,
            env={**os.environ, "FORCE_COLOR": "", **environment},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def git(self, *arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def bench_here(bench, capsys, monkeypatch):
    """The same command in this process, for what starts no benchmarks: where another of the same kind had its own process."""

    def run(*arguments, status=0):
        monkeypatch.chdir(bench.root)
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        capsys.readouterr()
        assert main(["bench", *map(str, arguments)]) == status
        said = capsys.readouterr()
        return said.out + said.err

    return run


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """A directory for all tests of a module."""
    return Bench(tmp_path_factory.mktemp("benches"))
