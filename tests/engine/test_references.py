"""Reference counts: a call releases what it was given, hit, miss or error; and the garbage collector gets no work."""

from __future__ import annotations

import contextlib
import gc
import itertools
import sys
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

import tallymark as tm

KINDS = ("counter", "gauge", "histogram", "timer")
METHODS = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}


class Printed:
    """A tag value that is no text, and makes a new one each time."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return "".join(self.text)


class Failing:
    """A number that cannot be read, and a tag value that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __float__(self) -> float:
        raise RuntimeError("no")


@pytest.fixture(autouse=True)
def no_collections() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def fresh(text: str) -> str:
    """Return a text that nothing else holds: not interned, not a constant."""
    return "".join([text[:1], text[1:]]) if len(text) > 1 else text.encode("utf-16").decode("utf-16")


def check_unchanged(call: Callable[[], object], *things: Any, times: int = 50) -> None:
    """Raise `AssertionError` unless all references to `things` are the same after the call as before, however often made.

    A call may keep what is new to it, so it is made twice before the counting.
    """
    for _ in range(2):
        _quietly(call)
    before = [sys.getrefcount(thing) for thing in things]
    for _ in range(times):
        _quietly(call)
    after = [sys.getrefcount(thing) for thing in things]
    for thing, a, b in zip(things, after, before, strict=True):
        shared = thing is None or isinstance(thing, type | str)  # others hold these too, and let go of them meanwhile
        assert abs(a - b) < times // 2 if shared else a == b, f"{a - b} references of {times} calls to {thing!r}"


def _quietly(call: Callable[[], object]) -> None:
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        call()


AMOUNTS: dict[str, Callable[[], Any]] = {
    "a float": lambda: float("1.25"),
    "an int": lambda: int("123456789012345"),
    "a huge int": lambda: 10 ** int("400"),
    "nan": lambda: float("nan"),
    "negative": lambda: float("-1.5"),
    "no number": object,
    "a tuple": lambda: (object(), 1.0),
    "a list": lambda: [1.0],
    "text": lambda: fresh("text"),
    "failing": Failing,
    "a timedelta": lambda: timedelta(milliseconds=12345),
    "a float subclass": lambda: type("F", (float,), {})(1.5),
}


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [False, True])
def test_amounts_and_tags_keep_their_counts(engine: Any, kind: str, amount: str, strict: bool) -> None:
    root = one_of_few(engine, kind, strict)
    record = getattr(root, METHODS[kind])
    number = AMOUNTS[amount]()
    check_unchanged(lambda: record(number), number, root)
    for key, value in keys_and_values():
        tags = {key: value}
        check_unchanged(lambda tags=tags: record(number, **tags), number, value, key, tags, root, times=10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [False, True])
def test_tags_of_bound_series_keep_their_counts(engine: Any, kind: str, strict: bool) -> None:
    root = one_of_few(engine, kind, strict)
    for key, value in keys_and_values():
        tags = {key: value}
        check_unchanged(lambda tags=tags: getattr(root, METHODS[kind])(1, **tags), value, key, tags, root, times=10)
        check_unchanged(lambda tags=tags: root.with_tags(tags), value, key, tags, root, times=10)
        check_unchanged(lambda tags=tags: root.with_tags(tags, **tags), value, key, tags, root, times=10)


def one_of_few(engine: Any, kind: str, strict: bool) -> Any:
    """Return an instrument of a registry whose limits are soon reached."""
    registry = tm.Registry(engine=engine.name, strict=strict, limits=tm.TagLimits(max_series=5, max_value_length=10))
    return getattr(registry, kind)("n")


def keys_and_values() -> Iterator[tuple[str, Any]]:
    """Return each of some keys with each of some values, good and bad."""
    values = [
        fresh("value"),
        Printed(fresh("printed")),
        Failing(),
        fresh("é" * 5),
        fresh("too long for it"),
        fresh("日本"),
        None,
        3**50,
    ]
    keys = ["key", "other", *[fresh(key) for key in ("fresh_key", "not valid", "1")]]
    return itertools.product(keys, values)


def test_series_that_come_and_go_keep_nothing(registry: tm.Registry) -> None:
    root = registry.counter("n")
    value, other = fresh("value"), fresh("other")
    mapping = {"a": value, "b": other}
    tags = type(root.tags)(mapping)

    def use() -> None:
        for make in (lambda: root.with_tags(mapping), lambda: root.with_tags(**mapping), lambda: root.with_tags(tags, c=other)):
            one = make()
            one.inc()
            one.inc(d=value)
            one.with_tags(d=value).remove()
            one.remove()
            one.inc()
            one.remove()
        registry.unregister("n")
        root.inc()

    check_unchanged(use, value, other, mapping, tags, root, registry, root.tags, type(root), type(tags))


def test_a_series_past_the_limit_keeps_nothing(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=1))
    root = registry.counter("n")
    root.inc(a="1")
    value = fresh("value")
    overflow = root.with_tags(a="2")
    check_unchanged(lambda: root.inc(a=value), value, root, overflow)
    check_unchanged(lambda: root.with_tags(a=value), value, root, overflow)
    check_unchanged(lambda: overflow.inc(z=value), value, root, overflow)
    check_unchanged(lambda: overflow.with_tags({"z": value}), value, root, overflow)


def test_a_family_that_cannot_come_back_keeps_nothing(registry: tm.Registry) -> None:
    root = registry.counter("n")
    registry.unregister("n")
    registry.gauge("n")
    value = fresh("value")
    check_unchanged(lambda: root.inc(a=value), value, root)
    check_unchanged(lambda: root.with_tags(a=value), value, root)


@pytest.mark.parametrize("kind", KINDS)
def test_the_attributes_of_an_instrument(registry: tm.Registry, kind: str) -> None:
    one = getattr(registry, kind)("n", description="What it is.").with_tags(a="1")
    parts = [one, one.tags, one.name, one.description, one.unit, one.kind]

    def use() -> None:
        repr(one), one.tags, one.name, one.description, one.unit, one.kind, hash(one), one == one, one.with_tags()
        if kind in ("counter", "gauge"):
            one.value
        else:
            one.bounds, one.snapshot()
        registry.snapshot()

    check_unchanged(use, *parts, registry)


def test_tag_sets(engine: Any) -> None:
    value, key, label = fresh("value"), fresh("key"), fresh("label")
    mapping = {key: value}
    tags = engine.TagSet(mapping)
    strange = object()

    def use() -> None:
        engine.TagSet(mapping), engine.TagSet(**mapping), engine.TagSet(tags), engine.TagSet(tags, other=value)
        tags[key], tags.get(key), tags.get("z", strange), tags.get(default=strange, key="z"), key in tags, strange in tags
        list(tags), len(tags), hash(tags), repr(tags), list(tags.items()), list(tags.values()), list(tags.keys())
        tags == mapping, tags != mapping, tags == strange, tags == engine.TagSet(), {key: 1} == tags, tags.__reduce__()
        tags._keep_label_text(label)
        tags._label_text
        tags._keep_label_text("")

    check_unchanged(use, value, key, label, mapping, tags, strange, type(tags), None)
    errors: list[Callable[[], object]] = [
        lambda: tags[strange],
        lambda: tags[[strange]],
        lambda: tags["missing"],
        lambda: tags.get(),
        lambda: tags.get(strange, strange, strange),
        lambda: tags.get(strange, key=strange),
        lambda: tags.get(strange, unknown=strange),
        lambda: tags < strange,
        lambda: engine.TagSet(strange),
        lambda: engine.TagSet({strange: 1}),
        lambda: engine.TagSet(mapping, mapping),
        lambda: engine.TagSet({"a b": value}),
        lambda: engine.TagSet(a=Failing()),
    ]
    for error in errors:

        def failing(error: Callable[[], object] = error) -> None:
            with pytest.raises((TypeError, KeyError, ValueError)):
                error()

        check_unchanged(failing, value, key, mapping, tags, strange, times=5)


def test_timings(registry: tm.Registry) -> None:
    timer = registry.timer("n")
    timing = timer.time(a="1")
    bound = timer.with_tags(a="1")
    value, error = fresh("value"), ZeroDivisionError()

    def use() -> None:
        with timing as entered, timing, timer.time(), timer.time(a=value):
            assert entered is timing
        try:
            with timing:
                raise error
        except ZeroDivisionError:
            error.__traceback__ = None
        type(timing)(timer)
        timing.__enter__(), timing.__exit__(None, None, None)
        type(timing).__enter__(timing), type(timing).__exit__(timing, ZeroDivisionError, error, None)

    check_unchanged(use, timing, timer, bound, value, error, ZeroDivisionError, type(timing))
    for wrong in (lambda: timing(1, 2), lambda: timing(None), lambda: timing(a=value), lambda: timing.__exit__(1, 2, 3)):
        check_unchanged(wrong, timing, timer, value)


@pytest.mark.slow
def test_timed_functions(registry: tm.Registry) -> None:
    timer = registry.timer("n")
    error, argument = ZeroDivisionError(), object()

    def work(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise error
        return args

    timed = timer.time()(work)
    kwargs = {"fails": argument}

    class Owner:
        method = timed

    owner = Owner()

    def use() -> None:
        timed(argument), timed(), owner.method(argument), Owner.method(owner), repr(timed), timed.__name__, timed.__dict__
        try:
            timed(**kwargs)
        except ZeroDivisionError:
            error.__traceback__ = None
        timer.time()(work), timer.time()(timed)
        gc.collect()

    check_unchanged(use, timer, work, timed, error, argument, kwargs, owner, times=5)


def test_tallies(registry: tm.Registry, engine: Any) -> None:
    counter, timer = registry.counter("n"), registry.timer("t")
    keys, defaults = (fresh("key"), fresh("other")), (fresh("default"),)
    value, duration, context = fresh("value"), float("1.25"), {"more": fresh("context"), "key": fresh("loses")}
    record = engine.OperationRecorder(counter, keys, timer, defaults)

    def use() -> None:
        (
            record(value, duration),
            record(value, value, duration),
            record(value, duration, **context),
            record(Printed("x"), duration),
        )
        engine.OperationRecorder(counter, keys), engine.OperationRecorder(counter, keys, timer, defaults)

    things = [counter, timer, keys, *keys, defaults, *defaults, value, duration, context, *context.values(), record]
    check_unchanged(use, *things)
    for wrong in (
        lambda: record(),
        lambda: record(value),
        lambda: record(value, value),
        lambda: record(value, value, value, duration),
        lambda: record(value, None, **context),
        lambda: record(value, -1.0),
        lambda: record(Failing(), Failing()),
        lambda: record(value, duration, **{"not valid": value}),
        lambda: record(value, duration, **{f"k{i}": value for i in range(40)}),
    ):
        check_unchanged(wrong, *things)


@pytest.mark.slow
def test_a_strict_rejection_while_a_timed_function_raises(strict_registry: tm.Registry) -> None:
    root = strict_registry.timer("n")
    error, result = ZeroDivisionError(), object()
    strict_registry.unregister("n")

    @root.time()
    def timed(fails: bool) -> object:
        strict_registry.unregister("n")
        strict_registry.counter("n")
        if fails:
            raise error
        return result

    def use() -> None:
        strict_registry.unregister("n")
        for fails in (False, True):
            with pytest.raises(ValueError, match="its name now belongs to another"):
                timed(fails)
        error.__traceback__ = error.__context__ = None
        gc.collect()

    check_unchanged(use, root, timed, error, result, times=5)


def test_series_are_nothing_to_the_garbage_collector(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=100_000))
    handles = []
    for kind in KINDS:
        root = getattr(registry, kind)(kind)
        for i in range(500):
            getattr(root, METHODS[kind])(1, i=i)
        handles += [root.with_tags(i=i) for i in range(100)]
    registry.snapshot()
    gc.collect()
    assert gc.collect() == 0
    if engine.name == "native":
        untracked = {*[type(one) for one in handles], engine.TagSet, engine.Family, engine.Timing}
        assert not any(type(one) in untracked for one in gc.get_objects())
        assert not any(gc.is_tracked(one) or gc.is_tracked(one.tags) for one in handles)
        assert not gc.is_tracked(registry.timer("timer").time())


def test_a_registry_in_a_cycle_with_what_it_holds_is_collected(engine: Any) -> None:
    gone = []

    class Owner:
        pass

    for _ in range(3):
        registry = tm.Registry(engine=engine.name)
        owner: Any = Owner()
        owner.registry = registry
        owner.counter = registry.counter("n", callback=lambda owner=owner: owner.registry is not None)
        owner.gauge = registry.gauge("m", tags={"a": "1"}, callback=lambda registry=registry: [({"b": 1}, 1.0)])
        owner.bound = owner.counter.with_tags(a="1")
        owner.timer = registry.timer("t")
        owner.timed = owner.timer.time()(lambda owner=owner: owner)
        owner.timed()
        owner.timed.owner = owner
        owner.timing = owner.timer.time()
        registry.attach(owner)
        owner.close = lambda: None
        registry.snapshot()
        gone += [weakref.ref(owner), weakref.ref(registry), weakref.ref(owner.timed)]
        del registry, owner
    gc.collect()
    gc.collect()
    assert [one() for one in gone] == [None] * len(gone)


def test_families_go_when_the_last_of_registry_and_handles_goes(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name)
    one = registry.counter("n").with_tags(a="1")
    value = fresh("a value of its own")
    held = registry.counter("n").with_tags(a=value)
    held.inc()
    before = sys.getrefcount(value)
    del held
    assert sys.getrefcount(value) == before
    registry.unregister("n")
    gc.collect()
    assert sys.getrefcount(value) < before
    one.inc()
    assert one.value == 1
    del registry
    gc.collect()
    one.inc()
    one.with_tags(b=value).inc()
    assert one.value == 2
    counts = sys.getrefcount(value)
    del one
    gc.collect()
    assert sys.getrefcount(value) < counts
