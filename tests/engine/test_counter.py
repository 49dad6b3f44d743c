"""`Counter`: a total that only goes up."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

import tallymark as tm


def rejected(registry: tm.Registry, metric: str, reason: str) -> float:
    series = registry.snapshot().find("tallymark_rejected", metric=metric, reason=reason)
    return series.value if series else 0.0


def test_a_new_counter_is_at_zero(registry: tm.Registry) -> None:
    assert registry.counter("requests").value == 0


def test_inc_adds_one_by_default(registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    requests.inc()
    requests.inc()
    assert requests.value == 2


def test_inc_and_add_take_an_amount(registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    requests.inc(2.5)
    requests.add(3)
    assert requests.value == 5.5


def test_add_needs_an_amount(registry: tm.Registry) -> None:
    with pytest.raises(TypeError):
        registry.counter("requests").add()  # type: ignore[call-arg]


def test_inc_takes_no_second_amount(registry: tm.Registry) -> None:
    with pytest.raises(TypeError):
        registry.counter("requests").inc(1, 2)  # type: ignore[call-arg]


def test_recording_returns_nothing(registry: tm.Registry) -> None:
    requests: Any = registry.counter("requests")
    assert requests.inc() is requests.add(1) is requests.inc(a="1") is requests.inc(-1) is None


def test_keywords_record_to_the_series_with_these_tags(registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    requests.inc(method="GET", status="200")
    requests.inc(4, status="200", method="GET")
    requests.add(3, method="GET")
    assert requests.value == 0
    assert requests.with_tags(method="GET", status="200").value == 5
    assert requests.with_tags(method="GET").value == 3


def test_amount_is_positional_and_a_tag_of_that_name_by_with_tags(registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    with pytest.raises(TypeError, match=r"by place, as in inc\(2\)"):
        requests.inc(amount=5)
    requests.with_tags(amount="5").inc()
    assert requests.with_tags(amount="5").value == 1


def test_fractions_are_not_truncated(registry: tm.Registry) -> None:
    spent = registry.counter("cpu", unit="seconds")
    for _ in range(4):
        spent.inc(0.25)
    spent.inc(0.1)
    assert spent.value == 1.1


def test_a_tiny_increment_counts(registry: tm.Registry) -> None:
    tiny = registry.counter("tiny")
    tiny.inc(5e-324)
    assert tiny.value == 5e-324


def test_an_increment_of_zero_counts_as_a_record(registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    requests.inc(0, method="GET")
    requests.inc(-0.0)
    found = registry.snapshot().find("requests", method="GET")
    assert found is not None
    assert found.value == 0
    assert registry.snapshot().find("requests") is not None


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (-1, "negative"),
        (-1.0, "negative"),
        (-5e-324, "negative"),
        (nan, "not_finite"),
        (inf, "not_finite"),
        (-inf, "not_finite"),
        (10**400, "not_finite"),
        (-(10**400), "not_finite"),
    ],
)
def test_a_bad_increment_is_rejected_and_counted(registry: tm.Registry, amount: Any, reason: str) -> None:
    requests = registry.counter("requests")
    requests.inc(1)
    requests.inc(amount)
    requests.add(amount)
    assert requests.value == 1
    assert rejected(registry, "requests", reason) == 2


@pytest.mark.parametrize("amount", [-1, nan, inf])
def test_a_bad_increment_with_tags_is_rejected_and_counted(registry: tm.Registry, amount: float) -> None:
    requests = registry.counter("requests")
    requests.inc(amount, method="GET")
    assert requests.with_tags(method="GET").value == 0
    assert registry.snapshot().find("tallymark_rejected", metric="requests", reason="tags") is None
    assert sum(series.value for series in registry.snapshot()["tallymark_rejected"]) == 1


@pytest.mark.parametrize("amount", [-1, nan, inf, 10**400])
def test_a_strict_registry_raises_for_a_bad_increment(strict_registry: tm.Registry, amount: Any) -> None:
    requests = strict_registry.counter("requests")
    with pytest.raises(ValueError, match="requests"):
        requests.inc(amount)
    assert requests.value == 0


def test_its_attributes(registry: tm.Registry) -> None:
    sent = registry.counter("sent", description="Bytes sent.", unit="bytes", tags={"service": "api"})
    assert (sent.name, sent.description, sent.unit, sent.kind) == ("sent", "Bytes sent.", "bytes", "counter")
    assert sent.tags["service"] == "api"
    assert type(sent).__name__ == "Counter"


def test_repr_shows_metric_tags_value_and_series(registry: tm.Registry) -> None:
    requests = registry.counter("requests", tags={"a": "1"})
    requests.inc(2.5)
    assert repr(requests) == "<Counter requests{a='1'} 2.5>"
    assert repr(registry.counter("requests")) == "<Counter requests 0 and 1 tagged series>"


@pytest.mark.parametrize("kind", ["Counter", "Gauge", "Histogram", "Timer"])
def test_an_instrument_is_made_by_a_registry_only(engine: Any, kind: str) -> None:
    with pytest.raises(TypeError, match="registry"):
        getattr(engine, kind)("requests")


@pytest.mark.parametrize("attribute", ["value", "tags", "name", "description", "unit", "anything"])
def test_attributes_cannot_be_set(registry: tm.Registry, attribute: str) -> None:
    with pytest.raises(AttributeError):
        setattr(registry.counter("requests"), attribute, 1)
