"""Files of bytes that a format must not change. With `GOLDEN=write`, tests write them anew: look at the change."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "golden"


def golden(name: str, made: bytes) -> bytes:
    """Return the bytes of a file; write what was made there first, if the environment asks for it."""
    path = _FOLDER / name
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(made)
    return path.read_bytes()
