"""Operations with hostile exceptions, tags and settings: the exception that propagates is always the service's."""

from __future__ import annotations

from typing import Any

import pytest
from recorded import errors, rows, statuses, value

import tallymark as tm
from tallymark.operational import OperationalMetrics


class Meta(type):
    """Of classes whose special methods raise."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")

    def __str__(cls) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError("no instances")


class Hostile(Exception, metaclass=Meta):  # noqa: N818
    """Its special methods raise."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise RuntimeError("neither")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equal")

    __hash__ = None  # type: ignore[assignment]


class Disguised(Exception):  # noqa: N818
    """Its `__class__` raises."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")


def outcome(ops: OperationalMetrics, error: BaseException, **context: object) -> BaseException | None:
    """Return what comes out of an operation that `error` ends."""
    try:
        with ops.operation("auth", **context):
            raise error
    except BaseException as caught:
        return caught
    return None


@pytest.mark.parametrize("kind", [0, 1], ids=["Hostile", "Disguised"])
def test_a_hostile_exception_passes_and_is_counted(ops: OperationalMetrics, registry: tm.Registry, kind: int) -> None:
    error = [Hostile, Disguised][kind]()
    passes = outcome(ops, error) is error  # a failed assertion would show it, which raises
    assert passes
    assert statuses(registry) == ["error"]
    assert [error_type for error_type, _ in errors(registry)] == [["Hostile", "Disguised"][kind]]
    assert value(registry, "operations_in_flight", operation="auth") == 0


def test_a_long_class_name_is_cut(ops: OperationalMetrics, registry: tm.Registry) -> None:
    error: Exception = type("E" * 300, (Exception,), {})()
    assert outcome(ops, error) is error
    assert errors(registry) == [("E" * 199 + "…", "")]


def test_classes_made_without_end_go_to_overflow(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=3))
    ops = OperationalMetrics(registry)
    for number in range(10):
        error: Exception = type(f"Error{number}", (Exception,), {})()
        assert outcome(ops, error) is error
    assert value(registry, "operation_errors", overflow="true") == 7
    assert statuses(registry) == ["error"] * 10


def test_a_class_name_with_surrogates_is_escaped(ops: OperationalMetrics, registry: tm.Registry) -> None:
    ops.record_error("auth", "bad \udc80 text")
    assert errors(registry) == [("bad \\udc80 text", "")]


def test_a_tag_that_is_not_valid_raises_at_the_end_of_a_block_without_an_exception(
    ops: OperationalMetrics, registry: tm.Registry
) -> None:
    def work() -> None:
        with ops.operation("auth") as op:
            op.tag(**{"not a key": 1})

    with pytest.raises(tm.TagError, match="not a key"):
        work()
    assert rows(registry, "operations") == []
    assert value(registry, "operations_in_flight", operation="auth") == 0


def test_tags_that_only_an_error_has_too_many_of_leave_the_exception_alone(
    ops: OperationalMetrics, registry: tm.Registry
) -> None:
    context = {f"k{i}": i for i in range(8)}  # ten tags on `operations`, eleven on `operation_errors`
    with ops.operation("auth", **context):
        pass
    error = KeyError("mine")
    assert outcome(ops, error, **context) is error
    assert statuses(registry) == ["error", "success"]


def test_a_tag_that_is_not_valid_leaves_the_exception_alone(ops: OperationalMetrics) -> None:
    error = KeyError("mine")
    assert outcome(ops, error, **{"not a key": 1}) is error


def test_a_strict_registry_leaves_the_exception_alone(strict_registry: tm.Registry) -> None:
    error: Exception = type("E" * 300, (Exception,), {})()
    assert outcome(OperationalMetrics(strict_registry), error) is error


def test_a_classifier_that_returns_none_for_the_type_counts_no_error(registry: tm.Registry) -> None:
    ops = OperationalMetrics(registry, classifier=lambda error: ("not_found", None, None))
    outcome(ops, LookupError())
    assert errors(registry) == []


def test_an_operation_is_exited_once(ops: OperationalMetrics, registry: tm.Registry) -> None:
    op = ops.operation("auth")
    with op:
        pass
    with pytest.raises(RuntimeError):
        op.__exit__(None, None, None)
    assert value(registry, "operations_in_flight", operation="auth") == 0
