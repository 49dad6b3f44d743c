"""The programs in `examples/` run, and pass the tests beside them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.bench import QUICK, Target, measure

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DOCS = ROOT / "docs"
PAGES = ("facts.md", "guide.md", "operational.md", "reporting.md", "serving.md")


def blocks(page: str) -> list[str]:
    """Return the Python examples of a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def run(*command: str | Path) -> str:
    """Return what a command of this Python prints; it must succeed, without a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_tests_of_the_examples_pass() -> None:
    assert re.search(r"\b[1-9]\d* passed", run("-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLES))


def test_the_shop_serves_its_customers() -> None:
    text = run(EXAMPLES / "orders.py", "--seconds", "0.2")
    for name in ("shop_operations_total", "shop_operation_duration_seconds_count", "shop_items_sold_total", "shop_amounts_sum"):
        assert re.search(rf"^{name}\{{.*\}} [\d.]+$", text, re.MULTILINE), name


BENCHMARKS = sorted((EXAMPLES / "benchmarks").glob("bench_*.py"))


@pytest.mark.slow
def test_the_example_benchmarks_are_measured() -> None:
    settings = replace(QUICK, processes=1, values=1, passes=("allocations",))
    (found,) = measure(["examples/benchmarks"], targets=[Target(root=str(ROOT))], settings=settings)
    assert {one.file for one in found.benchmarks} == {str(one.relative_to(ROOT)) for one in BENCHMARKS}
    assert {one.name: one.reason for one in found.benchmarks if one.status != "ok"} == {}


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_the_table_of_the_example_benchmarks_is_whole(file: Path) -> None:
    table = (EXAMPLES / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert f"| `{file.name}` |" in table


@pytest.mark.parametrize(("page", "example"), [(page, example) for page in PAGES for example in range(len(blocks(page)))])
def test_the_examples_of_the_docs_run(page: str, example: int, request: pytest.FixtureRequest) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    with tm.use(tm.Registry(strict=True)):
        exec(blocks(page)[example], names)
    for name, test in names.items():
        if name.startswith("test_"):
            test(request.getfixturevalue("metrics"))


def test_the_benchmarks_of_the_guide_are_those_of_the_examples() -> None:
    shown = re.findall(r"def bench_\w+\(b\):\n(?: .*\n)+", "".join(blocks("guide.md")))
    source = (EXAMPLES / "benchmarks" / "bench_post_mortem.py").read_text(encoding="utf-8")
    assert len(shown) == 2
    assert all(one in source for one in shown)


def anchor(heading: str) -> str:
    """Return what a link to a heading ends in."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")))
def test_the_links_of_the_docs_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, part = target.partition("#")
        linked = (DOCS / page).parent / path if path else DOCS / page
        assert linked.exists(), target
        if part:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert part in map(anchor, headings), target
