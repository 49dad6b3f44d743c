"""The picture of the demo in the README: it shows the table, and says nothing of the machine that it was drawn on."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

from tallymark.demo.backend import WORKLOADS
from tallymark.demo.table import HEADINGS, Row

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
    assert all(word in shown for word in (*HEADINGS, *WORKLOADS))
    assert "Metrics: http://127.0.0.1:9464/metrics. The service is under load for 10 seconds." in shown


def test_a_browser_fetches_nothing_for_the_picture() -> None:
    picture = PICTURE.read_text(encoding="utf-8")
    assert set(re.findall(r"\bhttps?://[\w.:/]+\w", picture)) == {"http://www.w3.org/2000/svg", "http://127.0.0.1:9464/metrics"}
    assert not re.search(r"url\((?!#)", picture)


def test_a_picture_of_other_rows(tool: ModuleType) -> None:
    picture = tool.draw("Metrics: somewhere.", [Row("auth", 61.25, 7, 5, (0.0081, 0.0154, 0.0169))])
    shown = text(picture)
    assert re.search(r"auth\s+61.2\s+7\s+5\s+8.1\s+15.4\s+16.9", shown)
    assert "Metrics: somewhere." in shown
