"""docs/backends: what the pages of JSON lines, text files, Graphite and InfluxDB show is what is written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from one_report import body

import tallymark as tm
from tallymark.backends import Graphite, InfluxDB
from tallymark.report.backend import Backend

pytestmark = pytest.mark.slow

PAGES = Path(__file__).parents[2] / "docs" / "backends"


def block(page: str, language: str) -> str:
    """Return the first block of a page that is in this language."""
    found = re.search(rf"^```{language}\n(.*?)^```", (PAGES / page).read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def run(program: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=folder, check=True)
    return done.stdout


def without_times(text: str) -> str:
    return re.sub(r'"time":"[^"]*"| \d{10,19}$', "", text, flags=re.MULTILINE)


def test_json_lines(tmp_path: Path) -> None:
    assert without_times(run(block("json-lines.md", "python"), tmp_path)) == without_times(block("json-lines.md", "json"))


def test_text_file(tmp_path: Path) -> None:
    run(block("textfile.md", "python"), tmp_path)
    command, _, shown = block("textfile.md", "console").partition("\n")
    assert command == "$ cat nightly.prom"
    assert (tmp_path / "nightly.prom").read_text() == shown


def told_by(backend: Backend) -> str:
    registry = tm.Registry(self_metrics=False)
    registry.counter("http.requests").inc(3, route="/users")
    for seconds in (0.05, 0.5, 20):
        registry.timer("took", buckets=[0.1, 1]).record(seconds)
    return without_times(body(backend, registry.snapshot()).decode())


def test_graphite() -> None:
    made = told_by(Graphite("127.0.0.1:9", tags={"service": "api"}))
    assert made == without_times(block("graphite.md", "text"))
    page = (PAGES / "graphite.md").read_text()
    for path in ("http.requests.route._users.service.api", "took.service.api.p99"):
        assert f"`{path}`" in page
        assert f"\n{path} " in "\n" + told_by(Graphite("127.0.0.1:9", tagged=False, tags={"service": "api"}))


def test_influxdb() -> None:
    page = (PAGES / "influxdb.md").read_text()
    for line in told_by(InfluxDB("http://127.0.0.1:9", database="d", tags={"service": "api"})).splitlines():
        assert f"`{line} 1795742208529041000`" in page
