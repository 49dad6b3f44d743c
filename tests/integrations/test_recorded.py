"""The tables of what integrations record, in their pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from records_table import BEGIN, PAGES, RECORDED, Recorded, table, with_table

import tallymark as tm


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: one.page)
def test_the_table_of_a_page_is_what_the_integration_records(one: Recorded) -> None:
    """If it is not: .venv/bin/python tools/integration_tables.py"""
    text = (PAGES / f"{one.page}.md").read_text(encoding="utf-8")
    assert with_table(text, table(one)) == text


@pytest.mark.parametrize("page", ["asgi", "fastapi", "flask", "starlette", "wsgi"])
def test_the_examples_of_a_page_run(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        with tm.use(tm.Registry(strict=True)):
            exec(block, {"__name__": "example"})


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_each_page_with_a_table_is_held() -> None:
    with_tables = {page.stem for page in PAGES.glob("*.md") if BEGIN in page.read_text(encoding="utf-8")}
    assert with_tables == {one.page for one in RECORDED}


def test_a_page_without_a_place_for_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        with_table("# A page\n", "| a |")
