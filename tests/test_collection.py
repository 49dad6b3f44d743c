"""Tests have the same names in every process that collects them, so that runs can be shared out, repeated and compared."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.once
def test_another_process_with_another_hash_seed_collects_the_same_tests(request: pytest.FixtureRequest) -> None:
    here = [item.nodeid for item in request.session.items]
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "--collect-only", "-q"]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [*command, *dict.fromkeys(nodeid.partition("::")[0] for nodeid in here)],
        cwd=request.config.rootpath, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    chosen = set(here)  # by -m or -k, perhaps
    assert [line for line in done.stdout.splitlines() if line in chosen] == here
