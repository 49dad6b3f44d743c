"""Recorded trees of `/proc` and cgroup files: one text file each, whose lines `-- path --` head the files in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

TREES = Path(__file__).parent / "trees"


def recorded(name: str) -> dict[str, str]:
    """Return the files of a recorded tree, by path. The text before the first describes the tree."""
    parts = re.split(r"^-- (.+) --\n", (TREES / f"{name}.txt").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files beneath `root`, and return it."""
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[str], Path]:
    """Unpacks the recorded tree of a name, and returns its root."""
    return lambda name: write_tree(tmp_path / name, recorded(name))


@pytest.fixture
def files(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Writes these files, and returns their root."""
    return lambda content: write_tree(tmp_path / "files", content)
