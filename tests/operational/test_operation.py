"""`operation()` as a context manager: how it ends, and what its block may set."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from recorded import distribution, errors, rows, statuses, value

import tallymark as tm
from tallymark.operational import Operation, OperationalMetrics, Outcome


def end(ops: OperationalMetrics, error: BaseException, **context: object) -> None:
    """Have an operation end by `error`, which must be what comes out of it."""
    with pytest.raises(BaseException) as caught, ops.operation("auth", **context):
        raise error
    assert caught.value is error
    assert error.__context__ is None


def in_flight(registry: tm.Registry, operation: str = "auth") -> float:
    """Return how many of an operation are under way."""
    return value(registry, "operations_in_flight", operation=operation)


def test_a_block_that_gets_to_its_end_is_a_success(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with ops.operation("auth", region="eu") as op:
        assert isinstance(op, Operation)
        assert op.status is None
    assert rows(registry, "operations") == [({"operation": "auth", "region": "eu", "status": "success"}, 1)]
    assert statuses(registry) == ["success"]
    assert errors(registry) == []
    assert distribution(registry, "operation_duration", operation="auth", region="eu", status="success").sum > 0


@pytest.mark.parametrize(
    ("error", "status", "error_type"),
    [
        (ValueError("x"), "error", "ValueError"),
        (KeyError("x"), "error", "KeyError"),
        (ExceptionGroup("x", [ValueError()]), "error", "ExceptionGroup"),
        (StopIteration(1), "error", "StopIteration"),
        (TimeoutError("x"), "timeout", ""),
        (asyncio.CancelledError(), "cancelled", ""),
        (GeneratorExit(), "cancelled", ""),
        (KeyboardInterrupt(), "cancelled", ""),
        (SystemExit(3), "cancelled", ""),
    ],
    ids=repr,
)
def test_an_exception_passes_and_gives_the_status(
    ops: OperationalMetrics, registry: tm.Registry, error: BaseException, status: str, error_type: str
) -> None:
    end(ops, error, region="eu")
    assert statuses(registry) == [status]
    assert errors(registry) == ([(error_type, "")] if error_type else [])
    assert all(tags["region"] == "eu" for tags, _ in rows(registry, "operation_errors"))


def test_the_block_names_its_status(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with ops.operation("cache") as op:
        op.status = "miss"
    with ops.operation("cache") as op:
        op.status = 304
    assert statuses(registry) == ["304", "miss"]
    assert errors(registry) == []


def test_the_block_names_the_status_of_an_exception(ops: OperationalMetrics, registry: tm.Registry) -> None:
    def refuse() -> None:
        with ops.operation("auth") as op:
            op.status = "refused"
            raise PermissionError

    with pytest.raises(PermissionError):
        refuse()
    assert statuses(registry) == ["refused"]
    assert errors(registry) == [("PermissionError", "")]


def test_the_block_fails_without_an_exception(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with ops.operation("auth", region="eu") as op:
        op.fail("first")
        op.fail("InvalidToken", "client")
    with ops.operation("auth") as op:
        op.fail("Locked")
        op.status = "locked"
    assert statuses(registry) == ["error", "locked"]
    assert errors(registry) == [("Locked", ""), ("InvalidToken", "client")]
    assert value(
        registry, "operation_errors", operation="auth", error_type="InvalidToken", error_category="client", region="eu"
    )


def test_what_the_block_sets_comes_before_the_exception(ops: OperationalMetrics, registry: tm.Registry) -> None:
    def fail() -> None:
        with ops.operation("auth") as op:
            op.fail("Declined", "bank")
            raise TimeoutError

    with pytest.raises(TimeoutError):
        fail()
    assert statuses(registry) == ["error"]
    assert errors(registry) == [("Declined", "bank")]


def test_the_block_adds_tags(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with ops.operation("load", source="disk", self="x") as op:
        op.tag(source="cache", size="small")
        op.tag(self="y", operation="by position wins")
        op.fail("Broken")
    expected = {"operation": "load", "source": "cache", "size": "small", "self": "y"}
    assert rows(registry, "operations") == [(expected | {"status": "error"}, 1)]
    assert rows(registry, "operation_errors") == [(expected | {"error_type": "Broken", "error_category": ""}, 1)]


def test_operations_nest(ops: OperationalMetrics, registry: tm.Registry) -> None:
    def nested() -> None:
        with ops.operation("outer") as outer:
            with ops.operation("inner"):
                assert (in_flight(registry, "outer"), in_flight(registry, "inner")) == (1, 1)
            outer.tag(step="two")
            with ops.operation("inner"):
                raise KeyError

    with pytest.raises(KeyError):
        nested()
    assert rows(registry, "operations") == [
        ({"operation": "inner", "status": "error"}, 1),
        ({"operation": "inner", "status": "success"}, 1),
        ({"operation": "outer", "status": "error", "step": "two"}, 1),
    ]
    outer = distribution(registry, "operation_duration", operation="outer", status="error", step="two").sum
    assert outer >= distribution(registry, "operation_duration", operation="inner", status="error").sum


def test_an_operation_is_entered_once(ops: OperationalMetrics, registry: tm.Registry) -> None:
    op = ops.operation("auth")

    def enter() -> None:
        with op:
            pass

    with op, pytest.raises(RuntimeError, match="entered once"):
        enter()
    with pytest.raises(RuntimeError, match="entered once"):
        enter()
    assert statuses(registry) == ["success"]
    assert in_flight(registry) == 0


def test_an_operation_that_was_not_entered_cannot_be_exited(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with pytest.raises(RuntimeError, match="not been entered"):
        ops.operation("auth").__exit__(None, None, None)
    assert statuses(registry) == []
    assert in_flight(registry) == 0


def test_in_flight_goes_up_and_down(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with ops.operation("auth", region="eu"), ops.operation("auth"):
        assert in_flight(registry) == 2
    assert in_flight(registry) == 0
    for error in (ValueError(), asyncio.CancelledError(), KeyboardInterrupt()):
        end(ops, error)
        assert in_flight(registry) == 0


def test_the_name_is_text_or_becomes_it(ops: OperationalMetrics, registry: tm.Registry) -> None:
    with ops.operation(7, name="tag", self="tag"):
        assert in_flight(registry, "7") == 1
    assert value(registry, "operations", operation="7", status="success", name="tag", self="tag") == 1


@pytest.mark.parametrize("make", [tuple, lambda given: Outcome(*given), list])
def test_a_classifier_of_the_services_own(registry: tm.Registry, make: Any) -> None:
    asked: list[BaseException] = []

    def classifier(error: BaseException) -> tuple[object, object, object]:
        asked.append(error)
        outcome: tuple[object, object, object] = make(("refused", 403, "client"))
        return outcome

    ops = OperationalMetrics(registry, classifier=classifier)
    with ops.operation("auth"):
        pass
    error = PermissionError()
    end(ops, error)
    assert asked == [error]
    assert statuses(registry) == ["refused", "success"]
    assert errors(registry) == [("403", "client")]


def test_a_classifier_that_names_no_error_type_counts_no_error(registry: tm.Registry) -> None:
    ops = OperationalMetrics(registry, classifier=lambda error: ("not_found", "", "unused"))
    end(ops, LookupError())
    assert statuses(registry) == ["not_found"]
    assert errors(registry) == []


def raising(error: BaseException) -> tuple[object, object, object]:
    raise RuntimeError("the classifier's own")


@pytest.mark.parametrize("classifier", [raising, lambda error: None, lambda error: ("error",), lambda: None, "not callable"])
def test_a_classifier_that_fails_leaves_the_exception_alone(registry: tm.Registry, classifier: Any) -> None:
    ops = OperationalMetrics(registry, classifier=classifier, in_flight=True)
    end(ops, ValueError("mine"))
    assert statuses(registry) == ["error"]
    assert errors(registry) == [("ValueError", "unclassified")]
    assert in_flight(registry) == 0
