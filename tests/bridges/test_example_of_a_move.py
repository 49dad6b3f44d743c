"""The example that moves a service module by module: its endpoint shows the same metrics after each step."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from parsed_pages import prometheus

EXAMPLE = Path(__file__).parents[2] / "examples" / "move_by_module.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec: Any = importlib.util.spec_from_file_location("move_by_module", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_endpoint_shows_the_same_after_each_step(example: Any) -> None:
    pages = [prometheus(example.shown(step).encode()) for step in range(len(example.STEPS))]
    about = [{name: one[:3] for name, one in page.items()} for page in pages]
    assert about[0] == about[1] == about[2]
    samples = [{key: value for one in page.values() for key, value in one[3].items()} for page in pages]
    own = [{key: value for key, value in one.items() if key[0] != "tallymark_series"} for one in samples]
    assert set(own[0]) == set(own[1]) == set(own[2])
    counted = [{key: value for key, value in one.items() if key[0].endswith(("_total", "_count"))} for one in own]
    assert counted[0] == counted[1] == counted[2]
    assert {"shop_orders_total", "shop_stock_taken_total", "shop_order_seconds_count"} <= {key[0] for key in counted[0]}
