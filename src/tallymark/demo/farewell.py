"""What the demo says at its end: what can be looked at, and how."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["farewell"]


def farewell(page: str) -> str:
    """Return lines that are true when the demo has ended. `page` is the URL at which its page was."""
    command = _command()
    ways = [f"open {page} in a browser", f"curl {page}metrics"]
    if find_spec("prometheus_client") is not None:
        ways.append(f"{command} top {page}")
    return "\n".join(
        [
            f"It has ended, and {page} with it. To run it until Ctrl-C:",
            f"  {command} demo --seconds 0",
            "and to look at it meanwhile:",
            *[f"  {way}" for way in ways],
        ]
    )


def _command() -> str:
    """Return how this program was called, so that it can be called again."""
    called = Path(sys.argv[0])
    if called.name != "tallymark":
        return f"{shlex.quote(sys.executable)} -m tallymark"
    found = shutil.which("tallymark")
    return "tallymark" if found is not None and Path(found).resolve() == called.resolve() else shlex.quote(sys.argv[0])
