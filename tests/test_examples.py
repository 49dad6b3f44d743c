"""The programs in `examples/` run, and pass the tests beside them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tallymark as tm

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGES = [
    example
    for page in ("operational.md", "facts.md")
    for example in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
]


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


@pytest.mark.parametrize("example", range(len(PAGES)))
def test_the_examples_of_the_docs_run(example: int) -> None:
    with tm.use(tm.Registry(strict=True)):
        exec(PAGES[example], {"__name__": "example"})
