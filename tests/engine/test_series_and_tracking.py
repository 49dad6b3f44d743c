"""`series()`; and `track_in_progress` and `count_exceptions`: blocks, and decorators of all four kinds of function."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest

import tallymark as tm

KINDS = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def make(registry: tm.Registry, kind: str) -> Any:
    return getattr(registry, kind)


def record(instrument: Any, **tags: object) -> None:
    getattr(instrument, KINDS[instrument.kind])(1, **tags)


def tags_of(series: list[Any]) -> list[dict[str, str]]:
    return [dict(one.tags) for one in series]


# series()


def test_a_metric_that_nobody_recorded_to_has_no_series(make: Any) -> None:
    root = make("n")
    assert root.series() == []
    record(root)
    assert root.series() == [root]


def test_series_are_the_objects_that_with_tags_returns(make: Any) -> None:
    root = make("n")
    record(root, method="GET")
    bound = root.with_tags(method="PUT", status="200")
    first, second = root.series()
    assert first is root.with_tags(method="GET")
    assert second is bound
    assert root.series()[0] is first
    assert type(root.series()) is list


def test_series_come_in_the_order_in_which_they_came_to_live(make: Any) -> None:
    root = make("n")
    for value in "bca":
        root.with_tags(x=value)
    record(root)
    root.with_tags(x="c").remove()
    record(root, x="c")
    assert tags_of(root.series()) == [{"x": "b"}, {"x": "a"}, {}, {"x": "c"}]


def test_a_bound_series_tells_of_those_that_have_its_tags_too(make: Any) -> None:
    root = make("n")
    for tags in ({"a": "1"}, {"a": "1", "b": "1"}, {"b": "1"}, {"a": "2", "b": "1"}):
        root.with_tags(tags)
    assert tags_of(root.with_tags(a="1").series()) == [{"a": "1"}, {"a": "1", "b": "1"}]
    assert tags_of(root.with_tags(b="1").series()) == [{"a": "1", "b": "1"}, {"b": "1"}, {"a": "2", "b": "1"}]


def test_a_series_that_is_gone_is_not_among_them(make: Any, registry: tm.Registry) -> None:
    root = make("n")
    one, other = root.with_tags(a="1"), root.with_tags(a="2")
    one.remove()
    assert root.series() == [other]
    assert one.series() == []
    record(one)
    assert root.series() == [other, one]
    registry.unregister("n")
    assert root.series() == one.series() == []
    record(other)
    assert root.series() == [other]


def test_an_expired_series_is_not_among_them(make: Any, registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0
        time = monotonic = lambda self: self.now

    clock = Clock()
    monkeypatch.setattr("tallymark.metric.registry.time", clock)
    root = getattr(tm.Registry(engine=registry._engine.name), make.__name__)("n", ttl=5)
    record(root, a="1")
    clock.now = 4.0
    record(root, a="2")
    root._family.expire()
    clock.now = 9.5
    assert tags_of(root.series()) == [{"a": "1"}, {"a": "2"}]  # until somebody looks
    root._family.expire()
    assert tags_of(root.series()) == []


def test_the_overflow_series_is_among_them(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=1))
    counter.inc(a="1")
    counter.inc(a="2")
    assert tags_of(counter.series()) == [{"a": "1"}, {"overflow": "true"}]


def test_tags_of_the_registry_are_on_all_of_them(engine: Any) -> None:
    counter = tm.Registry(engine=engine.name, tags={"host": "h"}).counter("n")
    counter.inc(a="1")
    assert tags_of(counter.series()) == [{"a": "1", "host": "h"}]


def test_a_list_of_series_keeps_them_and_nothing_else_does(make: Any) -> None:
    root = make("n")
    for i in range(20):
        record(root, i=i)
    listed = root.series()
    before = [sys.getrefcount(one) for one in listed]
    assert [one is other for one, other in zip(listed, root.series(), strict=True)] == [True] * 20
    assert [sys.getrefcount(one) for one in listed] == before


def test_series_takes_no_arguments(make: Any) -> None:
    for call in (lambda: make("n").series("GET"), lambda: make("n").series(method="GET")):
        with pytest.raises(TypeError):
            call()


def test_series_are_listed_while_others_record_remove_and_unregister(registry: tm.Registry) -> None:
    counter, done = registry.counter("n"), []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # a shorter one makes minutes of it where threads wait for a busy machine at each switch

    def work(act: Callable[[int], object]) -> None:
        for i in range(400):
            act(i)
        done.append(act)

    def remove_one(i: int) -> None:
        for one in counter.series()[i % 7 :: 7]:
            one.remove()

    acts: list[Callable[[int], object]] = [
        lambda i: counter.inc(a=str(i % 50)),
        lambda i: [counter.with_tags(a=str(i % 30), b=str(i)).inc(), gc.collect(0)],
        remove_one,
        lambda i: registry.unregister("n") if i % 40 == 0 else None,
        lambda i: [(one.value, one.tags["a"], i % 40 or repr(one)) for one in counter.series()],  # a repr looks at all series
    ]
    threads = [Thread(target=work, args=(act,)) for act in acts]
    try:
        for thread in threads:
            thread.start()
    finally:
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)
    assert len(done) == len(acts)
    counter.inc(a="last")
    assert counter.with_tags(a="last") in counter.series()


# Blocks and decorators


class WorkError(Exception):
    """What blocks and functions here end with."""


@pytest.fixture
def gauge(registry: tm.Registry) -> Any:
    return registry.gauge("busy")


@pytest.fixture
def counter(registry: tm.Registry) -> Any:
    return registry.counter("failed")


def test_a_block_is_in_progress_from_its_start_to_its_end(gauge: Any) -> None:
    with gauge.track_in_progress() as tracked:
        assert gauge.value == 1
        with tracked, gauge.track_in_progress():
            assert gauge.value == 3
    assert gauge.value == 0
    with pytest.raises(WorkError), tracked:
        raise WorkError
    assert gauge.value == 0


def test_a_block_counts_the_exception_that_ends_it_and_lets_it_pass(counter: Any) -> None:
    watched = counter.count_exceptions()
    with watched:
        pass
    assert counter.value == 0
    error = WorkError()
    with pytest.raises(WorkError) as raised, watched:
        raise error
    assert raised.value is error
    with pytest.raises(WorkError), watched, watched:
        raise error
    assert counter.value == 3


def test_the_tags_of_a_block_name_its_series_at_once(gauge: Any, counter: Any) -> None:
    tracked = gauge.track_in_progress(route="/")
    watched = counter.count_exceptions(route="/")
    assert tags_of(gauge.series()) == tags_of(counter.series()) == [{"route": "/"}]
    with tracked:
        assert gauge.with_tags(route="/").value == 1
        with pytest.raises(WorkError), tracked, watched:
            raise WorkError
    assert (gauge.with_tags(route="/").value, counter.with_tags(route="/").value) == (0, 1)
    assert (gauge.value, counter.value) == (0, 0)


@pytest.mark.parametrize(
    ("counted", "raised", "counts"),
    [
        ((), ValueError, True),
        ((), ZeroDivisionError, True),
        ((), KeyboardInterrupt, False),
        ((), GeneratorExit, False),
        ((), asyncio.CancelledError, False),
        ((KeyError,), KeyError, True),
        ((LookupError,), KeyError, True),
        ((KeyError,), LookupError, False),
        ((KeyError, OSError), FileNotFoundError, True),
        ((KeyError, OSError), ValueError, False),
        ((BaseException,), SystemExit, True),
        ((asyncio.CancelledError,), asyncio.CancelledError, True),
    ],
)
def test_those_exceptions_count_that_are_asked_for(
    counter: Any, counted: tuple[type[BaseException], ...], raised: type[BaseException], counts: bool
) -> None:
    with pytest.raises(raised), counter.count_exceptions(*counted):
        raise raised
    assert counter.value == counts


@pytest.mark.parametrize("wrong", [5, "KeyError", None, KeyError(), (KeyError, OSError), int, object, [KeyError]], ids=repr)
def test_what_is_no_exception_class_is_a_type_error_at_once(counter: Any, wrong: Any) -> None:
    for exceptions in ((wrong,), (KeyError, wrong)):
        with pytest.raises(TypeError, match=r"takes exception classes, as in count_exceptions\(KeyError, OSError\), not"):
            counter.count_exceptions(*exceptions)


def test_bad_tags_raise_at_once(gauge: Any, counter: Any) -> None:
    for call in (gauge.track_in_progress, counter.count_exceptions):
        with pytest.raises(tm.TagError):
            call(**{"a b": "x"})
        with pytest.raises(TypeError, match="one text"):
            call(a=["x"])
    with pytest.raises(TypeError, match="positional argument"):
        gauge.track_in_progress("x")


def test_a_block_that_outlives_its_series_brings_it_back(counter: Any, registry: tm.Registry) -> None:
    watched = counter.count_exceptions(a="1")
    registry.unregister("failed")
    assert counter.series() == []
    with pytest.raises(WorkError), watched:
        raise WorkError
    assert tags_of(counter.series()) == [{"a": "1"}]
    assert counter.with_tags(a="1").value == 1


# Functions: of each kind one that ends, one that raises


def plain(fails: bool) -> str:
    seen.append(busy())
    if fails:
        raise WorkError
    return "done"


def generator(fails: bool) -> Iterator[str]:
    seen.append(busy())
    yield "item"
    if fails:
        raise WorkError
    return


async def coroutine(fails: bool) -> str:
    seen.append(busy())
    await asyncio.sleep(0)
    if fails:
        raise WorkError
    return "done"


async def async_generator(fails: bool) -> AsyncIterator[str]:
    seen.append(busy())
    yield "item"
    await asyncio.sleep(0)
    if fails:
        raise WorkError


seen: list[float] = []


def busy() -> float:
    return 0.0  # of the fixture `function`, what its gauge says


def run(function: Callable[[bool], Any], fails: bool) -> Any:
    """Call to the end, whichever kind it is of."""
    made = function(fails)
    if inspect.iscoroutine(made):
        return asyncio.run(made)
    if inspect.isasyncgen(made):

        async def exhaust() -> list[str]:
            return [item async for item in made]

        return asyncio.run(exhaust())
    return list(made) if inspect.isgenerator(made) else made


FUNCTIONS: list[Any] = [plain, generator, coroutine, async_generator]
KIND_CHECKS = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)


@pytest.fixture(params=FUNCTIONS, ids=lambda function: function.__name__)
def function(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, gauge: Any) -> Any:
    seen.clear()
    monkeypatch.setattr(sys.modules[__name__], "busy", lambda: gauge.value)
    return request.param


def test_a_decorated_function_is_in_progress_while_it_works(function: Any, gauge: Any) -> None:
    tracked = gauge.track_in_progress()(function)
    assert run(tracked, False) == run(function, False)
    assert seen == [1, 0]
    with pytest.raises(WorkError):
        run(tracked, True)
    assert gauge.value == 0


def test_exceptions_of_a_decorated_function_count(function: Any, counter: Any) -> None:
    watched = counter.count_exceptions(WorkError, route="/")(function)
    assert run(watched, False) == run(function, False)
    assert counter.with_tags(route="/").value == 0
    for _ in range(2):
        with pytest.raises(WorkError):
            run(watched, True)
    assert counter.with_tags(route="/").value == 2


@pytest.mark.parametrize("decorate", ["track_in_progress", "count_exceptions"])
def test_a_decorated_function_is_of_its_kind_and_reads_the_same(registry: tm.Registry, function: Any, decorate: str) -> None:
    instrument: Any = registry.gauge("n") if decorate == "track_in_progress" else registry.counter("n")
    decorated = getattr(instrument, decorate)()(function)
    assert [check(decorated) for check in KIND_CHECKS] == [check(function) for check in KIND_CHECKS]
    assert (decorated.__name__, decorated.__module__) == (function.__name__, function.__module__)
    assert inspect.signature(decorated) == inspect.signature(function)
    assert decorated.__wrapped__ is function


def test_a_function_may_be_decorated_with_both(function: Any, gauge: Any, counter: Any, registry: tm.Registry) -> None:
    timer = registry.timer("took")
    both = gauge.track_in_progress()(counter.count_exceptions()(timer.time()(function)))
    with pytest.raises(WorkError):
        run(both, True)
    assert (gauge.value, counter.value, timer.snapshot().count) == (0, 1, 1)


def test_a_function_that_calls_itself_is_in_progress_as_often(gauge: Any) -> None:
    @gauge.track_in_progress()
    def depth(n: int) -> float:
        return depth(n - 1) if n else gauge.value

    assert depth(4) == 5
    assert gauge.value == 0


def test_methods_may_be_decorated(gauge: Any, counter: Any) -> None:
    class Service:
        @gauge.track_in_progress()
        def handle(self) -> tuple[Any, float]:
            return self, gauge.value

        @staticmethod
        @counter.count_exceptions()
        def fail() -> None:
            raise WorkError

        @classmethod
        @gauge.track_in_progress()
        def of(cls) -> Any:
            return cls

    service = Service()
    assert service.handle() == (service, 1)
    assert service.of() is Service
    with pytest.raises(WorkError):
        service.fail()
    assert counter.value == 1


@pytest.mark.parametrize("wrong", [5, None, "f", staticmethod(plain), classmethod(plain)], ids=lambda one: type(one).__name__)
def test_what_is_no_function_cannot_be_decorated(gauge: Any, counter: Any, wrong: Any) -> None:
    for scope in (gauge.track_in_progress(), counter.count_exceptions()):
        with pytest.raises(TypeError, match="only functions can be decorated"):
            scope(wrong)


# Work that is cut off


def test_a_cancelled_coroutine_is_no_longer_in_progress_and_no_failure(gauge: Any, counter: Any) -> None:
    @gauge.track_in_progress()
    @counter.count_exceptions()
    @counter.count_exceptions(asyncio.CancelledError, why="cancelled")
    async def wait() -> None:
        await asyncio.sleep(60)

    async def main() -> float:
        tasks = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        under_way = gauge.value
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return float(under_way)

    assert asyncio.run(main()) == 3
    assert gauge.value == 0
    assert counter.value == 0
    assert counter.with_tags(why="cancelled").value == 3


def test_a_coroutine_that_is_never_awaited_was_never_in_progress(gauge: Any) -> None:
    gauge.track_in_progress()(coroutine)(False).close()
    assert gauge.value == 0


@pytest.mark.parametrize("how", ["close", "drop", "throw"])
def test_a_generator_that_ends_early_is_no_longer_in_progress(gauge: Any, counter: Any, how: str) -> None:
    items = gauge.track_in_progress()(counter.count_exceptions()(generator))(False)
    assert gauge.value == 0  # it has not begun
    next(items)
    assert gauge.value == 1
    if how == "throw":
        with pytest.raises(WorkError):
            items.throw(WorkError())
    elif how == "close":
        items.close()
    else:
        del items
        gc.collect()
    assert gauge.value == 0
    assert counter.value == (how == "throw")


@pytest.mark.parametrize("how", ["aclose", "drop", "athrow"])
def test_an_async_generator_that_ends_early_is_no_longer_in_progress(gauge: Any, counter: Any, how: str) -> None:
    async def main() -> None:
        items: Any = gauge.track_in_progress()(counter.count_exceptions()(async_generator))(False)
        assert gauge.value == 0
        await anext(items)
        assert gauge.value == 1
        if how == "athrow":
            with pytest.raises(WorkError):
                await items.athrow(WorkError())
        elif how == "aclose":
            await items.aclose()
        else:
            del items
            gc.collect()
            await asyncio.sleep(0)

    asyncio.run(main())
    assert gauge.value == 0
    assert counter.value == (how == "athrow")


def test_a_generator_that_goes_on_after_a_throw_has_not_failed(counter: Any) -> None:
    @counter.count_exceptions()
    def stubborn() -> Iterator[str]:
        try:
            yield "first"
        except WorkError:
            yield "second"

    items: Any = stubborn()
    next(items)
    assert items.throw(WorkError()) == "second"
    assert list(items) == []
    assert counter.value == 0


def test_one_object_may_be_used_by_several_threads(gauge: Any, counter: Any) -> None:
    tracked, watched = gauge.track_in_progress(), counter.count_exceptions()

    def work() -> None:
        for _ in range(200):
            with suppress(WorkError), tracked, watched:
                raise WorkError

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (gauge.value, counter.value) == (0, 800)


def test_blocks_say_what_they_are(gauge: Any, counter: Any) -> None:
    assert repr(gauge.track_in_progress(route="/")) == "<InProgress <Gauge busy{route='/'} 0>>"
    assert repr(counter.count_exceptions(KeyError, OSError)) == "<ExceptionCount of KeyError, OSError in <Counter failed 0>>"
    assert repr(counter.count_exceptions()) == "<ExceptionCount of Exception in <Counter failed 0>>"


def test_calls_leave_no_references(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name)
    gauge, counter, text = registry.gauge("g"), registry.counter("c"), "".join(["a ", "text"])
    held = (gauge, counter, text, KeyError)
    for _ in range(2):
        before = [sys.getrefcount(one) for one in held]
        for _ in range(100):
            gauge.track_in_progress(a=text)
            gauge.track_in_progress()
            counter.count_exceptions(KeyError, a=text)
            with pytest.raises(TypeError):
                counter.count_exceptions(KeyError, 5)
            with pytest.raises(TypeError):
                counter.count_exceptions(KeyError, a=[text])
        gc.collect()
    assert [sys.getrefcount(one) - earlier < 20 for one, earlier in zip(held, before, strict=True)] == [True] * 4
