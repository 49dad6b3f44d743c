"""The examples of docs/testing.md work exactly as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pytest_run import run_pytest

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("test_")])
def test_the_tests_on_the_page_pass(tmp_path: Path, name: str) -> None:
    run = run_pytest(tmp_path, FILES, name)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_failure_on_the_page_is_what_pytest_prints(tmp_path: Path) -> None:
    wrong = FILES["test_shop.py"].replace('"orders", 2, method="card"', '"orders", 3, method="card"')
    assert wrong != FILES["test_shop.py"]
    run = run_pytest(tmp_path, FILES | {"test_shop.py": wrong}, "test_shop.py")
    shown = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[0]
    printed = [line.removeprefix("E").strip() for line in run.stdout.splitlines()]
    wanted = [line.strip() for line in shown.splitlines()]
    assert [line for line in printed if line in wanted][: len(wanted)] == wanted, run.stdout
