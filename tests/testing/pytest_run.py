"""A pytest run of its own, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

__all__ = ["run_pytest"]


def run_pytest(folder: Path, files: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on these files, with our plugin and those that `options` name, and no other."""
    for name, text in files.items():
        (folder / name).write_text(dedent(text))
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-W", "ignore::pytest.PytestConfigWarning"]
    return subprocess.run(
        [*command, "-p", "tallymark.testing.plugin", *options],
        cwd=folder, env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
