"""`record_operation`, `record_error`, `record_event`, `record_value`: what is recorded, under which tags."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from recorded import distribution, rows, value

import tallymark as tm
from tallymark.operational import OperationalMetrics

NAMES = ["operations", "operation_duration", "operation_errors", "events", "amounts"]


class Duration(timedelta):
    """A kind of `timedelta`."""


class Color:
    """Text of its own."""

    def __str__(self) -> str:
        return "blue"


class Silent:
    """No text at all."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_operation_is_counted_and_timed(ops: OperationalMetrics, registry: tm.Registry) -> None:
    for seconds in (0.25, 0.5):
        ops.record_operation("auth", "success", seconds)
    ops.record_operation("auth", "error", 1)
    assert value(registry, "operations", operation="auth", status="success") == 2
    assert value(registry, "operations", operation="auth", status="error") == 1
    timed = distribution(registry, "operation_duration", operation="auth", status="success")
    assert (timed.count, timed.sum, timed.min, timed.max) == (2, 0.75, 0.25, 0.5)


def test_an_error_is_counted(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_error("auth", "InvalidToken", "client")
    ops.record_error("auth", "InvalidToken")
    ops.record_error("auth", "InvalidToken", "")
    assert value(registry, "operation_errors", operation="auth", error_type="InvalidToken", error_category="client") == 1
    assert value(registry, "operation_errors", operation="auth", error_type="InvalidToken", error_category="") == 2


def test_an_event_is_counted(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_event("security", "login_refused")
    ops.record_event("security", "login_refused", realm="admin")
    assert value(registry, "events", kind="security", action="login_refused") == 1
    assert value(registry, "events", kind="security", action="login_refused", realm="admin") == 1


def test_an_amount_is_observed(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_value("order", "books", 19.5)
    ops.record_value("order", "books", 0)
    ops.record_value("order", "books", -2)
    ops.record_value("order", "books", 3, currency="EUR")
    amounts = distribution(registry, "amounts", name="order", category="books")
    assert (amounts.count, amounts.sum, amounts.min, amounts.max) == (3, 17.5, -2, 19.5)
    assert distribution(registry, "amounts", name="order", category="books", currency="EUR").sum == 3


def test_the_context_distinguishes_series(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_operation("auth", "success", 0.1)
    ops.record_operation("auth", "success", 0.1, region="eu", tier="gold")
    ops.record_operation("auth", "success", 0.1, tier="gold", region="eu")
    ops.record_operation("auth", "success", 0.1, region="us", tier="gold")
    assert [count for _, count in rows(registry, "operations")] == [2, 1, 1]
    assert value(registry, "operations", operation="auth", status="success", region="eu", tier="gold") == 2
    ops.record_error("auth", "Refused", region="eu")
    assert rows(registry, "operation_errors") == [
        ({"error_category": "", "error_type": "Refused", "operation": "auth", "region": "eu"}, 1)
    ]


def test_a_separator_in_a_text_makes_no_other_series(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_error("a:b", "c")
    ops.record_error("a", "b:c")
    ops.record_error("a:b", "c")
    assert value(registry, "operation_errors", operation="a:b", error_type="c", error_category="") == 2
    assert value(registry, "operation_errors", operation="a", error_type="b:c", error_category="") == 1


def test_a_positional_value_wins_over_a_keyword(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_operation("auth", "success", 0.1, operation="x", status="y", duration="kept", self="kept")
    ops.record_error("auth", "Refused", "client", error_category="x", error_type="y")
    ops.record_error("auth", "Refused", error_category="wins over the default")
    ops.record_event("security", "login", kind="x", action="y")
    ops.record_value("order", "books", 1, name="x", category="y", value="kept")
    assert rows(registry, "operations") == rows(registry, "operation_duration")
    assert rows(registry, "operations") == [({"duration": "kept", "operation": "auth", "self": "kept", "status": "success"}, 1)]
    assert [tags["error_category"] for tags, _ in rows(registry, "operation_errors")] == ["client", "wins over the default"]
    assert rows(registry, "events") == [({"action": "login", "kind": "security"}, 1)]
    assert rows(registry, "amounts") == [({"category": "books", "name": "order", "value": "kept"}, 1)]


@pytest.mark.parametrize(
    ("given", "text"),
    [(200, "200"), (None, "None"), (True, "True"), (1.5, "1.5"), (b"x", "b'x'"), ("", ""), (Color(), "blue")],
)
def test_what_is_no_text_becomes_text(ops: OperationalMetrics, registry: tm.Registry, given: object, text: str) -> None:
    ops.record_operation(given, given, 0.1, context=given)
    ops.record_error(given, given, given, context=given)
    ops.record_event(given, given, context=given)
    ops.record_value(given, given, 1, context=given)
    assert value(registry, "operations", operation=text, status=text, context=text) == 1
    assert value(registry, "operation_errors", operation=text, error_type=text, error_category=text, context=text) == 1
    assert value(registry, "events", kind=text, action=text, context=text) == 1
    assert distribution(registry, "amounts", name=text, category=text, context=text).count == 1


def test_what_has_no_text_is_recorded_as_unprintable(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_error("auth", Silent())
    assert value(registry, "operation_errors", operation="auth", error_type="<unprintable>", error_category="") == 1
    assert value(registry, "tallymark_rejected", metric="operation_errors", reason="unprintable") == 1


@pytest.mark.parametrize("duration", [timedelta(milliseconds=1500), Duration(milliseconds=1500), 1.5])
def test_a_duration_is_seconds_or_a_timedelta(ops: OperationalMetrics, registry: tm.Registry, duration: Any) -> None:
    ops.record_operation("auth", "success", duration)
    assert distribution(registry, "operation_duration", operation="auth", status="success").sum == 1.5


@pytest.mark.parametrize(
    ("duration", "reason"),
    [
        (-1.0, "negative"),
        (-1, "negative"),
        (timedelta(seconds=-1), "negative"),
        (float("nan"), "not_finite"),
        (float("inf"), "not_finite"),
        (10**400, "not_finite"),
    ],
)
def test_a_duration_that_is_rejected_keeps_its_count(
    ops: OperationalMetrics, registry: tm.Registry, duration: Any, reason: str
) -> None:
    ops.record_operation("auth", "success", duration, region="eu")
    assert value(registry, "operations", operation="auth", status="success", region="eu") == 1
    assert rows(registry, "operation_duration") == []
    assert value(registry, "tallymark_rejected", metric="operation_duration", reason=reason) == 1


@pytest.mark.parametrize("duration", ["1.5", None, [1], object()])
def test_a_duration_of_a_wrong_type_raises_and_counts_nothing(
    ops: OperationalMetrics, registry: tm.Registry, duration: Any
) -> None:
    with pytest.raises(TypeError, match=f"'operation_duration': a number is needed, not {type(duration).__name__}"):
        ops.record_operation("auth", "success", duration)
    assert rows(registry, "operations") == rows(registry, "operation_duration") == []


def test_an_amount_of_a_wrong_type_raises(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with pytest.raises(TypeError, match="a number is needed"):
        ops.record_value("order", "books", "19.5")  # type: ignore[arg-type]
    assert rows(registry, "amounts") == []


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("record_operation", ()),
        ("record_operation", ("auth",)),
        ("record_operation", ("auth", "success")),
        ("record_operation", ("auth", "success", 0.1, "more")),
        ("record_error", ()),
        ("record_error", ("auth",)),
        ("record_error", ("auth", "Refused", "client", "more")),
        ("record_event", ("security",)),
        ("record_event", ("security", "login", "more")),
        ("record_value", ("order", "books")),
        ("record_value", ("order", "books", 1, "more")),
    ],
)
def test_too_few_or_too_many_arguments_raise(
    ops: OperationalMetrics, registry: tm.Registry, method: str, given: tuple[Any, ...]
) -> None:
    with pytest.raises(TypeError):
        getattr(ops, method)(*given)
    assert all(not rows(registry, name) for name in NAMES)


@pytest.mark.parametrize("method", ["record_operation", "record_error", "record_event", "record_value"])
def test_a_key_that_is_no_tag_key_raises_and_counts_nothing(
    ops: OperationalMetrics, registry: tm.Registry, method: str
) -> None:
    given: tuple[Any, ...] = ("a", "b", 1.0) if method in ("record_operation", "record_value") else ("a", "b")
    with pytest.raises(tm.TagError, match="not valid"):
        getattr(ops, method)(*given, **{"not a key": 1})
    assert all(
        not rows(registry, name) for name in ("operations", "operation_duration", "operation_errors", "events", "amounts")
    )


def test_a_strict_registry_raises_for_a_negative_duration(strict_registry: tm.Registry) -> None:
    ops = OperationalMetrics(strict_registry)
    with pytest.raises(ValueError, match="negative"):
        ops.record_operation("auth", "success", -1.0)
    assert value(strict_registry, "operations", operation="auth", status="success") == 1
