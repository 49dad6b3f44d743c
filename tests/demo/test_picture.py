"""The picture of the demo in the README: it shows the table, and says nothing of the machine that it was drawn on."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

from tallymark.demo.backend import WORKLOADS
from tallymark.top.table import TRAFFIC_HEADINGS, Table

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "figures" / "demo.svg"


@pytest.fixture
def tool() -> ModuleType:
    """The module of `tools/demo_picture.py`."""
    spec = importlib.util.spec_from_file_location("demo_picture", ROOT / "tools" / "demo_picture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(picture: str) -> str:
    return " ".join(ElementTree.fromstring(picture).itertext()).replace("\N{NO-BREAK SPACE}", " ")


def test_the_picture_shows_the_table() -> None:
    shown = text(PICTURE.read_text(encoding="utf-8"))
    assert all(word in shown for word in (*TRAFFIC_HEADINGS, *WORKLOADS, *[f"GET /{one}" for one in WORKLOADS]))
    assert "Watch it live: http://127.0.0.1:9464/ " in shown
    assert "The service is under load for 10 seconds." in shown


def test_a_browser_fetches_nothing_for_the_picture() -> None:
    picture = PICTURE.read_text(encoding="utf-8")
    assert set(re.findall(r"\bhttps?://[\w.:/]+\w", picture)) == {
        "http://www.w3.org/2000/svg", "http://127.0.0.1:9464", "http://127.0.0.1:9464/metrics",
    }  # fmt: skip
    assert not re.search(r"url\((?!#)", picture)


def test_a_picture_of_other_rows(tool: ModuleType) -> None:
    picture = tool.draw("Watch it somewhere.", Table(("operation", "per s"), 1, [("auth", "61.2")], "", ()))
    shown = text(picture)
    assert re.search(r"auth\s+61.2", shown)
    assert "Watch it somewhere." in shown
