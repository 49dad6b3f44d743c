"""The recorder that replaces the operational layer in tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from inspect import signature
from math import isnan
from threading import Barrier, Thread
from typing import Any

import pytest

import tallymark as tm
from tallymark.operational import OperationalMetrics
from tallymark.testing import ErrorCall, EventCall, OperationCall, RecordedOperations, RecordingRegistry, ValueCall


@pytest.fixture
def ops() -> RecordedOperations:
    return RecordedOperations()


def test_calls_are_kept_in_order(ops: RecordedOperations) -> None:
    ops.record_operation("login", "success", 0.25, user="a")
    ops.record_operation("login", "error", timedelta(milliseconds=750))
    ops.record_error("login", "BadPassword", "client", user=1)
    ops.record_event("cache", "evicted")
    ops.record_value("order", "books", 12, currency="EUR")
    assert ops.calls == (
        OperationCall("login", "success", 0.25, {"user": "a"}),
        OperationCall("login", "error", 0.75),
        ErrorCall("login", "BadPassword", "client", {"user": "1"}),
        EventCall("cache", "evicted"),
        ValueCall("order", "books", 12.0, {"currency": "EUR"}),
    )
    ops.clear()
    assert ops.calls == ()


def test_calls_can_be_counted(ops: RecordedOperations) -> None:
    ops.record_operation("login", "success", 1, user="a", zone="x")
    ops.record_operation("login", "success", 2, user="b")
    ops.record_operation("login", "error", 3, user="a")
    ops.record_operation("logout", "success", 9)
    ops.record_error("login", "BadPassword")
    ops.record_error("login", "Locked")
    assert ops.count("login") == 3
    assert ops.count("login", "success") == 2
    assert ops.count("login", status="success", user="a") == 1
    assert ops.count("login", user="c") == 0
    assert [error.error_type for error in ops.errors("login")] == ["BadPassword", "Locked"]
    assert len(ops.errors("login", "Locked")) == 1
    assert ops.errors("logout") == ()
    assert ops.durations("login") == (1, 2, 3)
    assert ops.average("login") == 2
    assert isnan(ops.average("unknown"))


@pytest.mark.parametrize(
    "call",
    [
        lambda ops: ops.record_operation("x", "success", "1"),
        lambda ops: ops.record_value("x", "y", "1"),
    ],
)
def test_wrong_types_raise(ops: RecordedOperations, call: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        call(ops)
    assert ops.calls == ()


def test_bad_context_keys_raise(ops: RecordedOperations) -> None:
    with pytest.raises(tm.TagError), ops.operation("x", **{"": "y"}):
        pass
    assert ops.calls == ()


class OddError(Exception):
    """One that a classifier knows."""


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no text")


def enter_again(ops: Any) -> None:
    run = ops.operation("a")
    run.__enter__()
    run.__exit__(None, None, None)
    run.__enter__()


def leave_twice(ops: Any) -> None:
    run = ops.operation("a")
    run.__enter__()
    run.__exit__(None, None, None)
    run.__exit__(None, None, None)


def fail_without_a_type(ops: Any) -> None:
    for nothing in ("", None):
        with ops.operation("a") as run:
            run.fail(nothing)


def tag_badly_and_raise(ops: Any) -> None:
    with ops.operation("a") as run:
        run.tag(**{"not a key": 1})
        raise KeyError("mine")


def tag_what_has_no_text_and_raise(ops: Any) -> None:
    with ops.operation("a", b=Unprintable()):
        raise KeyError("mine")


def raise_what_the_classifier_knows(ops: Any) -> None:
    with ops.operation("a"):
        raise OddError


def take_long_ago(ops: Any) -> None:
    ops.record_operation("a", "success", -1)


def use_many_tags(ops: Any) -> None:
    ops.record_event("a", "b", **{f"k{i}": 1 for i in range(11)})


def tag_with_the_names_of_arguments(ops: Any) -> None:
    with ops.operation("a", status="s", operation="o", error_type="t", error_category="c"):
        raise KeyError


def give_the_category_by_keyword(ops: Any) -> None:
    ops.record_error("a", "b", error_category="db")
    ops.record_error("a", "c", "net", error_category="db")


PROGRAMS = [
    tag_with_the_names_of_arguments, give_the_category_by_keyword,
    enter_again, leave_twice, fail_without_a_type, tag_badly_and_raise, tag_what_has_no_text_and_raise,
    raise_what_the_classifier_knows, take_long_ago, use_many_tags,
]  # fmt: skip


def odd(error: BaseException) -> tuple[str, str, str]:
    return ("odd", "Known", "mine") if isinstance(error, OddError) else tuple(tm.classify(error))  # type: ignore[return-value]


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_does_what_the_real_layer_does(program: Callable[[Any], None]) -> None:
    registry = RecordingRegistry()
    real, double = OperationalMetrics(registry, classifier=odd), RecordedOperations(classifier=odd)
    raised = []
    for ops in (real, double):
        try:
            program(ops)
            raised.append("")
        except Exception as error:
            raised.append(f"{type(error).__name__}: {error}")
    assert raised[0] == raised[1]
    operations = [call for call in double.calls if isinstance(call, OperationCall)]
    errors = [call for call in double.calls if isinstance(call, ErrorCall)]
    for call in operations:
        assert registry.recorded("operations", call.context, operation=call.operation, status=call.status).value >= 1
    for failure in errors:
        tags = {"error_type": failure.error_type, "error_category": failure.error_category}
        registry.assert_recorded("operation_errors", 1, failure.context, operation=failure.operation, **tags)
    assert registry.total("operation_errors") == len(errors)


def test_any_keyword_is_context(ops: RecordedOperations) -> None:
    tags = {"self": "a", "operation": "b", "name": "c", "kind": "d", "type": "e"}
    ops.record_operation("x", "success", 1, **tags)
    ops.record_error("x", "E", **tags)
    ops.record_event("x", "y", **tags)
    ops.record_value("x", "y", 1, **tags)
    with ops.operation("x", **tags) as run:
        run.tag(**tags)
    own = {OperationCall: {"operation"}, ErrorCall: {"operation"}, EventCall: {"kind"}, ValueCall: {"name"}}
    for call in ops.calls:  # an argument by position wins over a keyword of the same name
        assert call.context == {key: value for key, value in tags.items() if key not in own[type(call)]}


# The context manager

ENDINGS = [
    (None, "success", []),
    (ValueError("no"), "error", ["ValueError"]),
    (TimeoutError(), "timeout", []),
    (asyncio.CancelledError(), "cancelled", []),
    (GeneratorExit(), "cancelled", []),
    (KeyboardInterrupt(), "cancelled", []),
]


@pytest.mark.parametrize(("error", "status", "errors"), ENDINGS, ids=repr)
def test_the_status_is_how_a_block_ends(
    ops: RecordedOperations, error: BaseException | None, status: str, errors: list[str]
) -> None:
    caught = None
    try:
        with ops.operation("login", user="a"):
            if error:
                raise error
    except BaseException as raised:
        caught = raised
    assert caught is error
    assert ops.count("login", status, user="a") == len(ops.durations("login")) == 1
    assert ops.durations("login")[0] >= 0
    assert [call.error_type for call in ops.errors("login")] == errors
    assert all(call.context == {"user": "a"} for call in ops.errors("login"))


def test_a_block_may_set_its_status(ops: RecordedOperations) -> None:
    with ops.operation("login") as run:
        run.status = "throttled"
        run.tag(user="a")
        run.tag(user="b", zone="x")
    assert ops.count("login", "throttled", user="b", zone="x") == 1
    with suppress(ValueError), ops.operation("login") as run:
        run.status = "rejected"
        raise ValueError
    assert ops.count("login", "rejected") == len(ops.errors("login", "ValueError")) == 1


def test_a_block_may_fail_without_an_exception(ops: RecordedOperations) -> None:
    with ops.operation("login") as run:
        run.fail("BadPassword", "client")
    with suppress(TimeoutError), ops.operation("logout") as run:
        run.fail("Slow")
        raise TimeoutError
    assert ops.count("login", "error") == ops.count("logout", "error") == 1
    assert ops.errors("login") == (ErrorCall("login", "BadPassword", "client"),)
    assert ops.errors("logout") == (ErrorCall("logout", "Slow"),)


def test_an_operation_is_entered_once(ops: RecordedOperations) -> None:
    operation = ops.operation("login")
    with pytest.raises(RuntimeError, match="exited"):
        operation.__exit__(None, None, None)
    with operation as run, pytest.raises(RuntimeError, match="once"):
        run.__enter__()
    assert ops.count("login") == 1


# The decorator


def test_a_function_is_recorded(ops: RecordedOperations) -> None:
    @ops.operation("add", zone="x")
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert (add(1, b=2), add.__name__, add.__doc__) == (3, "add", "Add.")
    with pytest.raises(TypeError):
        add(1, None)  # type: ignore[arg-type]
    assert ops.count("add", "success", zone="x") == ops.count("add", "error") == 1


def test_a_coroutine_is_recorded_while_it_is_awaited(ops: RecordedOperations) -> None:
    @ops.operation("fetch")
    async def fetch(delay: float) -> str:
        await asyncio.sleep(delay)
        return "done"

    async def main() -> None:
        assert await asyncio.gather(fetch(0), fetch(0)) == ["done", "done"]
        task = asyncio.create_task(fetch(60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    waiting = fetch(0)
    assert ops.calls == ()
    waiting.close()
    asyncio.run(main())
    assert ops.count("fetch", "success") == 2
    assert ops.count("fetch", "cancelled") == 1
    assert ops.errors("fetch") == ()


def test_a_generator_is_recorded_to_its_end(ops: RecordedOperations) -> None:
    @ops.operation("rows")
    def rows() -> Iterator[int]:
        yield from (1, 2)

    generator = rows()
    assert next(generator) == 1
    assert ops.calls == ()
    assert list(generator) == [2]
    early = rows()
    next(early)
    early.close()  # type: ignore[attr-defined]
    assert [call.status for call in ops.calls if isinstance(call, OperationCall)] == ["success", "cancelled"]


def test_an_async_generator_is_recorded_to_its_end(ops: RecordedOperations) -> None:
    @ops.operation("rows")
    async def rows(fails: bool) -> AsyncIterator[int]:
        yield 1
        if fails:
            raise ValueError

    async def main() -> None:
        assert [row async for row in rows(False)] == [1]
        with pytest.raises(ValueError):
            assert [row async for row in rows(True)]

    asyncio.run(main())
    assert [call.status for call in ops.calls if isinstance(call, OperationCall)] == ["success", "error"]


def test_concurrent_runs_of_a_function_do_not_meet(ops: RecordedOperations) -> None:
    barrier = Barrier(2)

    @ops.operation("step")
    def step(fails: bool) -> None:
        barrier.wait(10)
        if fails:
            barrier.wait(10)
            raise KeyError
        barrier.wait(10)

    def run(fails: bool) -> None:
        with suppress(KeyError):
            step(fails)

    threads = [Thread(target=run, args=[fails]) for fails in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ops.count("step", "success") == ops.count("step", "error") == 1


def test_only_functions_can_be_decorated(ops: RecordedOperations) -> None:
    with pytest.raises(TypeError, match="only functions"):
        ops.operation("x")(1)  # type: ignore[arg-type]


# The real layer


def exercise(ops: Any, error: BaseException | None, says: dict[str, str]) -> None:
    ops.record_operation("logout", Status(), timedelta(seconds=1), user=1)
    ops.record_error("logout", 404)
    with suppress(BaseException), ops.operation("login", user="a") as run:
        run.tag(zone="x")
        if "fail" in says:
            run.fail(says["fail"], "client")
        if "status" in says:
            run.status = says["status"]
        if error:
            raise error


class Status:
    def __str__(self) -> str:
        return "success"


@pytest.mark.parametrize("error", [ending[0] for ending in ENDINGS], ids=repr)
@pytest.mark.parametrize(
    "says", [{}, {"fail": "BadPassword"}, {"status": "odd"}, {"fail": "BadPassword", "status": "odd"}], ids=str
)
def test_the_real_layer_records_the_same(ops: RecordedOperations, error: BaseException | None, says: dict[str, str]) -> None:
    registry = RecordingRegistry()
    exercise(ops, error, says)
    exercise(OperationalMetrics(registry), error, says)
    operations = [call for call in ops.calls if isinstance(call, OperationCall)]
    errors = [call for call in ops.calls if isinstance(call, ErrorCall)]
    assert registry.total("operations") == len(operations) == 2
    for call in operations:
        registry.assert_recorded("operations", 1, call.context, operation=call.operation, status=call.status)
    assert registry.total("operation_errors") == len(errors)
    for failure in errors:
        tags = {"error_type": failure.error_type, "error_category": failure.error_category}
        registry.assert_recorded("operation_errors", 1, failure.context, operation=failure.operation, **tags)


@pytest.mark.parametrize("name", ["record_operation", "record_error", "record_event", "record_value", "operation"])
def test_the_real_layer_takes_the_same_arguments(name: str) -> None:
    mine, real = (signature(getattr(layer, name)) for layer in (RecordedOperations, OperationalMetrics))
    assert mine.parameters == real.parameters
