"""The examples in the pages about workers and the runtime run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from records_table import PAGES

import tallymark as tm
from tallymark.integrations import asyncio, celery, gc, logging


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Nothing of it is left."""
    yield
    for one in (asyncio, celery, gc, logging):
        one.uninstrument()


@pytest.mark.parametrize("page", ["asyncio", "celery", "gc", "logging"])
def test_the_examples_of_a_page_run(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {"tm": tm}
    with tm.use(tm.Registry(strict=True)):
        for example in examples:
            exec(example, names)
    assert examples


@pytest.mark.parametrize("name", ["asyncio", "celery", "gc", "logging"])
def test_the_front_door_leads_to_an_integration(name: str) -> None:
    module: Any = getattr(tm.integrations, name)
    assert module.__name__ == f"tallymark.integrations.{name}"
    assert sorted(module.__all__) == ["instrument", "uninstrument"]
    assert name in dir(tm.integrations)
