"""`OperationalMetrics`: where it records, and under which names."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from recorded import rows, value

import tallymark as tm
from tallymark.operational import OperationalMetrics

NAMES = ["operations", "operation_duration", "operation_errors"]
LATER = ["events", "amounts"]


def made(registry: tm.Registry) -> list[str]:
    """Return the names of a registry's metrics, without those that it has of its own."""
    return [family.name for family in registry.snapshot().families if not family.name.startswith("tallymark_")]


def record_all(ops: OperationalMetrics) -> None:
    """Record one of each."""
    ops.record_operation("auth", "success", 0.1)
    ops.record_error("auth", "Refused")
    ops.record_event("security", "login_refused")
    ops.record_value("order", "books", 3)
    with ops.operation("auth"):
        pass


def test_its_metrics(registry: tm.Registry) -> None:
    record_all(OperationalMetrics(registry, in_flight=True))
    kinds = {family.name: family.kind for family in registry.snapshot().families if family.name in made(registry)}
    assert kinds == dict(zip(NAMES, ["counter", "timer", "counter"], strict=True)) | {
        "operations_in_flight": "gauge",
        "events": "counter",
        "amounts": "histogram",
    }
    assert all(family.description for family in registry.snapshot().families)


def test_the_gauge_is_there_on_request_only(registry: tm.Registry) -> None:
    OperationalMetrics(registry)
    assert made(registry) == NAMES


def test_events_and_amounts_are_made_when_they_are_first_used(registry: tm.Registry) -> None:
    ops = OperationalMetrics(registry)
    ops.record_event("a", "b")
    assert made(registry) == [*NAMES, "events"]
    ops.record_value("a", "b", 1)
    ops.record_event("a", "b")
    assert made(registry) == [*NAMES, *LATER]
    assert value(registry, "events", kind="a", action="b") == 2


@pytest.mark.parametrize(("prefix", "start"), [("shop", "shop_"), ("shop_", "shop_"), ("", ""), ("_", "_"), ("a.b", "a.b_")])
def test_a_prefix_starts_every_name(registry: tm.Registry, prefix: str, start: str) -> None:
    ops = OperationalMetrics(registry, prefix, in_flight=True)
    record_all(ops)
    assert made(registry) == [start + name for name in [*NAMES, "operations_in_flight", *LATER]]
    assert value(registry, f"{start}operations", operation="auth", status="success") == 2


def test_two_prefixes_keep_apart(registry: tm.Registry) -> None:
    OperationalMetrics(registry, "one").record_event("a", "b")
    OperationalMetrics(registry, "two")
    assert value(registry, "one_events", kind="a", action="b") == 1
    assert rows(registry, "two_events") == []


@pytest.mark.parametrize("prefix", ["9", " ", "é", "a b"])
def test_a_prefix_that_starts_no_name_raises(registry: tm.Registry, prefix: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        OperationalMetrics(registry, prefix)


@pytest.mark.parametrize("prefix", [None, 1, b"a"])
def test_a_prefix_that_is_no_text_raises(registry: tm.Registry, prefix: Any) -> None:
    with pytest.raises(TypeError, match="prefix"):
        OperationalMetrics(registry, prefix)


@pytest.mark.parametrize("registry", ["shop", {}, 0, tm.Registry])
def test_a_registry_that_is_none_raises(registry: Any) -> None:
    with pytest.raises(TypeError, match="registry"):
        OperationalMetrics(registry)


def test_by_default_it_records_to_the_current_registry(registry: tm.Registry) -> None:
    with tm.use(registry):
        ops = OperationalMetrics()
    with tm.use(tm.Registry()):  # chosen when it is made, not at every record
        ops.record_event("a", "b")
    assert value(registry, "events", kind="a", action="b") == 1


def test_a_second_one_records_to_the_same_series(registry: tm.Registry) -> None:
    first, second = OperationalMetrics(registry), OperationalMetrics(registry, in_flight=True)
    record_all(first)
    record_all(second)
    assert value(registry, "operations", operation="auth", status="success") == 4
    assert value(registry, "operation_errors", operation="auth", error_type="Refused", error_category="") == 2
    assert made(registry) == [*NAMES, "operations_in_flight", *LATER]


def test_a_name_that_is_taken_by_another_kind_raises(registry: tm.Registry) -> None:
    registry.gauge("operation_errors")
    with pytest.raises(tm.MetricConflictError, match="operation_errors"):
        OperationalMetrics(registry)


def test_buckets_that_were_chosen_before_are_kept(registry: tm.Registry) -> None:
    registry.histogram("amounts", buckets=[10, 100])
    ops = OperationalMetrics(registry)
    ops.record_value("order", "books", 19.5)
    found = registry.snapshot().find("amounts", {"name": "order", "category": "books"})
    assert found is not None
    assert found.histogram.bucket_counts == (0, 1, 0)


def test_a_null_registry_records_nothing() -> None:
    registry = tm.NullRegistry()
    ops = OperationalMetrics(registry, in_flight=True)
    record_all(ops)
    with ops.operation("auth") as op:
        op.tag(region="eu")
        op.fail("Refused")
    with pytest.raises(KeyError), ops.operation("auth"):
        raise KeyError

    @ops.operation("auth")
    def work() -> int:
        return 1

    assert work() == 1
    assert list(registry.snapshot()) == []


def test_it_records_after_its_metrics_were_unregistered(ops: OperationalMetrics, registry: tm.Registry) -> None:
    record_all(ops)
    for name in [*NAMES, *LATER]:
        registry.unregister(name)
    record_all(ops)
    assert value(registry, "operations", operation="auth", status="success") == 2
    assert rows(registry, "amounts") == [({"category": "books", "name": "order"}, 1)]


def test_it_goes_when_nobody_holds_it(registry: tm.Registry) -> None:
    ops = OperationalMetrics(registry)
    record_all(ops)
    gone = weakref.ref(ops)
    del ops
    gc.collect()
    assert gone() is None


def test_what_a_subclass_does_instead_is_done(registry: tm.Registry) -> None:
    class Doubled(OperationalMetrics):
        def record_error(
            self, operation: object, error_type: object, error_category: object = "", /, **context: object
        ) -> None:
            for _ in range(2):
                super().record_error(operation, error_type, error_category, **context)

    ops = Doubled(registry)
    ops.record_error("auth", "Refused")
    with pytest.raises(KeyError), ops.operation("auth"):
        raise KeyError
    assert value(registry, "operation_errors", operation="auth", error_type="Refused", error_category="") == 2
    assert value(registry, "operation_errors", operation="auth", error_type="KeyError", error_category="") == 2


def test_the_methods_of_the_class_record_too(ops: OperationalMetrics, registry: tm.Registry) -> None:
    OperationalMetrics.record_operation(ops, "auth", "success", 0.1, region="eu")
    OperationalMetrics.record_error(ops, "auth", "Refused", region="eu")
    OperationalMetrics.record_event(ops, "security", "login_refused", region="eu")
    assert [count for name in [*NAMES, "events"] for _, count in rows(registry, name)] == [1, 1, 1, 1]
