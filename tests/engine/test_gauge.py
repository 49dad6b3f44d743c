"""`Gauge`: a value that goes up and down."""

from __future__ import annotations

from math import inf, isnan, nan
from typing import Any

import pytest

import tallymark as tm


def test_a_new_gauge_is_at_zero(registry: tm.Registry) -> None:
    assert registry.gauge("depth").value == 0


def test_set_inc_dec_and_add(registry: tm.Registry) -> None:
    depth = registry.gauge("depth")
    depth.set(7)
    depth.inc()
    depth.dec(2)
    depth.add(-1.5)
    assert depth.value == 4.5
    depth.dec()
    depth.inc(-1)
    depth.dec(-10)
    assert depth.value == 12.5


def test_set_replaces_the_value(registry: tm.Registry) -> None:
    depth = registry.gauge("depth")
    depth.set(3)
    depth.set(0.5)
    assert depth.value == 0.5


def test_keywords_record_to_the_series_with_these_tags(registry: tm.Registry) -> None:
    depth = registry.gauge("depth")
    depth.set(7, queue="mail")
    depth.inc(queue="mail")
    depth.dec(3, queue="mail")
    depth.add(0.25, queue="mail")
    assert depth.with_tags(queue="mail").value == 5.25
    assert depth.value == 0


def test_value_and_amount_can_be_tags(registry: tm.Registry) -> None:
    depth = registry.gauge("depth")
    series = depth.with_tags(value="x", amount="y")
    series.set(1)
    assert depth.with_tags(value="x", amount="y").value == 1


@pytest.mark.parametrize("call", ["set", "add"])
def test_set_and_add_need_a_number(registry: tm.Registry, call: str) -> None:
    with pytest.raises(TypeError):
        getattr(registry.gauge("depth"), call)()


@pytest.mark.parametrize("value", [inf, -inf, -1e308, 5e-324])
def test_a_gauge_can_be_set_to_any_double(strict_registry: tm.Registry, value: float) -> None:
    depth = strict_registry.gauge("depth")
    depth.set(value)
    assert depth.value == value


def test_a_gauge_can_be_set_to_nan_and_back(strict_registry: tm.Registry) -> None:
    depth = strict_registry.gauge("depth")
    depth.set(nan)
    assert isnan(depth.value)
    depth.set(1)
    assert depth.value == 1


@pytest.mark.parametrize("call", ["inc", "dec", "add"])
@pytest.mark.parametrize("amount", [nan, inf, -inf, 10**400])
def test_a_non_finite_change_is_rejected_and_counted(registry: tm.Registry, call: str, amount: Any) -> None:
    depth = registry.gauge("depth")
    depth.set(2)
    getattr(depth, call)(amount)
    assert depth.value == 2
    rejected = registry.snapshot().find("tallymark_rejected", metric="depth", reason="not_finite")
    assert rejected is not None
    assert rejected.value == 1


@pytest.mark.parametrize("call", ["inc", "dec", "add"])
def test_a_strict_registry_raises_for_a_non_finite_change(strict_registry: tm.Registry, call: str) -> None:
    with pytest.raises(ValueError, match="depth"):
        getattr(strict_registry.gauge("depth"), call)(nan)


def test_a_gauge_set_to_what_no_double_holds_keeps_its_value(registry: tm.Registry) -> None:
    depth = registry.gauge("depth")
    depth.set(2)
    depth.set(10**400)
    assert depth.value == 2
    assert registry.snapshot().find("tallymark_rejected", metric="depth", reason="not_finite") is not None


def test_a_gauge_set_to_zero_is_exported(registry: tm.Registry) -> None:
    registry.gauge("depth").set(0, queue="mail")
    found = registry.snapshot().find("depth", queue="mail")
    assert found is not None
    assert found.value == 0


def test_its_attributes(registry: tm.Registry) -> None:
    heat = registry.gauge("heat", description="How hot.", unit="celsius")
    assert (heat.name, heat.description, heat.unit, heat.kind) == ("heat", "How hot.", "celsius", "gauge")
    assert type(heat).__name__ == "Gauge"
