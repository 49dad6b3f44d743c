"""The limits on tags and series, as they hold for the operational layer."""

from __future__ import annotations

from typing import Any

import pytest
from recorded import rows, value

import tallymark as tm
from tallymark.operational import OperationalMetrics


def test_series_beyond_the_limit_go_to_overflow(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=3))
    ops = OperationalMetrics(registry)
    for user in range(10):
        ops.record_operation(f"load {user}", "success", 0.1)
    for name in ("operations", "operation_duration"):
        assert sum(count for _, count in rows(registry, name)) == 10
        assert ({"overflow": "true"}, 7) in rows(registry, name)
        assert value(registry, "tallymark_rejected", metric=name, reason="max_series") == 7


def test_one_metric_that_overflows_leaves_the_others_whole(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=2))
    ops = OperationalMetrics(registry)
    for number in range(5):
        ops.record_error("auth", f"Error{number}")
        ops.record_event("security", "login_refused")
    assert value(registry, "operation_errors", overflow="true") == 3
    assert rows(registry, "events") == [({"action": "login_refused", "kind": "security"}, 5)]


def test_a_long_value_is_cut(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_event("security", "x" * 500)
    assert rows(registry, "events") == [({"action": "x" * 199 + "…", "kind": "security"}, 1)]
    assert value(registry, "tallymark_rejected", metric="events", reason="value_too_long") == 1


def test_too_many_tags_raise_and_count_nothing(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_operation("auth", "success", 0.1, **{f"k{i}": i for i in range(8)})
    with pytest.raises(tm.TagError, match="11 tags"):
        ops.record_operation("auth", "success", 0.1, **{f"k{i}": i for i in range(9)})
    with pytest.raises(TypeError, match="at most 32 tags"):
        ops.record_operation("auth", "success", 0.1, **{f"k{i}": i for i in range(31)})
    assert sum(count for _, count in rows(registry, "operations")) == 1
    assert sum(count for _, count in rows(registry, "operation_duration")) == 1


def test_a_key_that_is_not_allowed_raises(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(disallowed_keys=("user_id",)))
    ops = OperationalMetrics(registry)
    with pytest.raises(tm.TagError, match="user_id"):
        ops.record_error("auth", "Refused", user_id=7)
    assert rows(registry, "operation_errors") == []


def test_a_strict_registry_raises_for_data_beyond_the_limits(strict_registry: tm.Registry) -> None:
    with pytest.raises(tm.TagError, match="500 characters"):
        OperationalMetrics(strict_registry).record_event("security", "x" * 500)


def test_the_tags_of_the_registry_are_on_every_series(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, tags={"service": "api"})
    ops = OperationalMetrics(registry)
    ops.record_operation("auth", "success", 0.1)
    ops.record_value("order", "books", 3)
    assert value(registry, "operations", operation="auth", status="success", service="api") == 1
    assert rows(registry, "amounts") == [({"category": "books", "name": "order", "service": "api"}, 1)]
