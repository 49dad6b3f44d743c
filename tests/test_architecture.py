"""Files and folders that the docs name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tallymark"


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def paths(text: str) -> set[str]:
    """Return what looks like a path among the code in a text: it ends with `/`, or as a source file does."""
    return set(re.findall(r"`([\w./-]+(?:/|\.py|\.c|\.h))`", text))


NAMED = paths(read("architecture.md"))
DRAWN = set(re.findall(r'class="file"[^>]*>([^<]+)<', read("figures/architecture.svg")))


@pytest.mark.parametrize("path", sorted(NAMED | DRAWN))
def test_what_the_page_on_the_architecture_names_is_there(path: str) -> None:
    assert (PACKAGE / path).exists()


def test_what_the_picture_names_the_page_explains() -> None:
    assert len(DRAWN) >= 10
    assert DRAWN <= NAMED


@pytest.mark.parametrize("path", sorted(paths(read("guide.md")[read("guide.md").index("\n## Where things are") :])))
def test_where_the_guide_says_that_things_are(path: str) -> None:
    folders = (ROOT, PACKAGE, PACKAGE / "engine", PACKAGE / "metric", PACKAGE / "demo", ROOT / "benchmarks")
    assert any((folder / path).exists() for folder in folders)
