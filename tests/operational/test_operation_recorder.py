"""`OperationRecorder`: one call that counts and times, with the same results and the same errors on both engines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from recorded import distribution, rows, value

import tallymark as tm


class Text(str):
    """A kind of text."""

    __slots__ = ()


CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "timed": ("timed", ("a", "b", 0.5), {}),
    "with context": ("timed", ("a", "b", 0.5), {"x": 1, "self": None}),
    "context of the same names": ("timed", ("a", "b", 0.5), {"one": 1, "two": 2}),
    "timedelta": ("timed", ("a", "b", timedelta(seconds=2)), {}),
    "whole seconds": ("timed", ("a", "b", 2), {}),
    "true": ("timed", ("a", "b", True), {}),
    "negative": ("timed", ("a", "b", -0.5), {}),
    "minus zero": ("timed", ("a", "b", -0.0), {}),
    "nan": ("timed", ("a", "b", float("nan")), {}),
    "too large": ("timed", ("a", "b", 10**400), {}),
    "text as a duration": ("timed", ("a", "b", "1"), {}),
    "none as a duration": ("timed", ("a", "b", None), {}),
    "no duration": ("timed", ("a", "b"), {}),
    "nothing": ("timed", (), {}),
    "one too many": ("timed", ("a", "b", 0.5, 1), {}),
    "untimed": ("untimed", ("a", "b"), {}),
    "untimed, nothing": ("untimed", (), {}),
    "untimed, one too many": ("untimed", ("a", "b", "c"), {}),
    "both defaults": ("defaults", (), {}),
    "one default": ("defaults", ("a",), {}),
    "one default, and a keyword": ("defaults", ("a",), {"two": "the keyword wins"}),
    "no default, and a keyword": ("defaults", ("a", "b"), {"two": "the value wins"}),
    "no default": ("defaults", ("a", "b"), {}),
    "defaults, one too many": ("defaults", ("a", "b", "c"), {}),
    "default and duration": ("timed_default", ("a", 0.5), {}),
    "default and no duration": ("timed_default", (), {}),
    "duration alone": ("timed_default", (0.5,), {}),
    "no keys": ("keyless", (), {"x": 1}),
    "no keys, no context": ("keyless", (), {}),
    "no keys, one too many": ("keyless", (1,), {}),
    "bound": ("bound", ("a", 0.5), {"x": 1}),
    "bound, its own tag overridden": ("bound", ("a", 0.5), {"of": "another"}),
    "odd values": ("untimed", (1.5, None), {"x": b"y"}),
    "kinds of text": ("untimed", (Text("a"), Text("b")), {"x": Text("y")}),
    "kinds of text as keys": ("untimed", ("a", "b"), {Text("x"): 1}),
    "long values": ("untimed", ("a" * 300, "b"), {}),
    "ten tags": ("untimed", ("a", "b"), {f"k{i}": i for i in range(8)}),
    "eleven tags": ("untimed", ("a", "b"), {f"k{i}": i for i in range(9)}),
    "thirty-three tags": ("untimed", ("a", "b"), {f"k{i}": i for i in range(31)}),
    "no tag key": ("timed", ("a", "b", 0.5), {"not a key": 1}),
    "a bad key of its own": ("bad_key", ("a",), {}),
    "no text as a key": ("untimed", ("a", "b"), {1: 2}),
}


def recorders(registry: tm.Registry) -> dict[str, Callable[..., None]]:
    """Return recorders of several shapes, all on one counter and timer."""
    counter, timer = registry.counter("n"), registry.timer("t")
    return {
        "timed": registry._operation_recorder(counter, ("one", "two"), timer=timer),
        "untimed": registry._operation_recorder(counter, ("one", "two")),
        "defaults": registry._operation_recorder(counter, ("one", "two"), defaults=("d1", "d2")),
        "timed_default": registry._operation_recorder(counter, ("one",), timer=timer, defaults=("d",)),
        "keyless": registry._operation_recorder(counter, ()),
        "bound": registry._operation_recorder(counter.with_tags(of="n"), ("one",), timer=timer.with_tags(of="t")),
        "bad_key": registry._operation_recorder(counter, ("not a key",)),
    }


def outcome(registry: tm.Registry, call: str) -> object:
    """Return what a call, made twice, leaves behind: what it raised, and every series."""
    name, given, context = CALLS[call]
    recorder, raised = recorders(registry)[name], []
    for _ in range(2):
        try:
            assert recorder(*given, **context) is None
        except (TypeError, ValueError) as error:
            raised.append((type(error), str(error)))
    series = [
        (s.name, dict(s.tags), (s.histogram.sum, s.histogram.bucket_counts) if s.family.bounds else s.value)
        for s in registry.snapshot()
    ]
    return raised, sorted(series, key=repr)


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("call", CALLS)
def test_both_engines_record_and_raise_the_same(call: str, strict: bool) -> None:
    native, reference = [outcome(tm.Registry(engine=name, strict=strict), call) for name in ("native", "reference")]
    assert native == reference


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("nothing", r"\('one', 'two'\) and a duration are needed by position, but 0 were given"),
        ("one too many", r"\('one', 'two'\) and a duration are needed by position, but 4 were given"),
        ("untimed, nothing", r"\('one', 'two'\) are needed by position, but 0 were given"),
        ("thirty-three tags", "at most 32 tags can be given in one call"),
        ("text as a duration", "metric 't': a number is needed, not str"),
    ],
)
def test_what_a_wrong_call_raises(registry: tm.Registry, call: str, message: str) -> None:
    name, given, context = CALLS[call]
    with pytest.raises(TypeError, match=f"^{message}$"):
        recorders(registry)[name](*given, **context)
    assert rows(registry, "n") == rows(registry, "t") == []


def test_it_counts_and_times(registry: tm.Registry) -> None:
    recorder = recorders(registry)["timed"]
    recorder("a", "b", 0.5)
    recorder("a", "b", timedelta(seconds=1), x=1)
    assert value(registry, "n", one="a", two="b") == 1
    assert distribution(registry, "t", one="a", two="b", x="1").sum == 1


def test_defaults_are_of_the_last_keys(registry: tm.Registry) -> None:
    recorder = recorders(registry)["defaults"]
    recorder()
    recorder("a")
    recorder("a", "b")
    assert [(tags["one"], tags["two"]) for tags, _ in rows(registry, "n")] == [("a", "b"), ("a", "d2"), ("d1", "d2")]


def test_a_bound_counter_and_timer_keep_their_tags(registry: tm.Registry) -> None:
    recorders(registry)["bound"]("a", 0.5)
    assert rows(registry, "n") == [({"of": "n", "one": "a"}, 1)]
    assert rows(registry, "t") == [({"of": "t", "one": "a"}, 1)]


def test_a_value_may_differ_at_each_call(registry: tm.Registry) -> None:
    recorder = recorders(registry)["untimed"]
    for i in range(100):
        recorder(i % 7, "b")
    assert [count for _, count in rows(registry, "n")] == [15, 15, 14, 14, 14, 14, 14]


def test_it_brings_back_what_was_removed(registry: tm.Registry) -> None:
    recorder = recorders(registry)["timed"]
    recorder("a", "b", 0.5)
    registry.counter("n", tags={"one": "a", "two": "b"}).remove()
    registry.unregister("t")
    recorder("a", "b", 0.5)
    assert value(registry, "n", one="a", two="b") == 1
    assert distribution(registry, "t", one="a", two="b").count == 1


WRONG: dict[str, Callable[[tm.Registry], object]] = {
    "a timer to count": lambda r: r._operation_recorder(r.timer("t"), ("k",)),  # type: ignore[arg-type]
    "a name to count": lambda r: r._operation_recorder("n", ("k",)),  # type: ignore[arg-type]
    "a counter to time": lambda r: r._operation_recorder(r.counter("n"), ("k",), timer=r.counter("n")),  # type: ignore[arg-type]
    "keys in a list": lambda r: r._operation_recorder(r.counter("n"), ["k"]),  # type: ignore[arg-type]
    "keys that are no text": lambda r: r._operation_recorder(r.counter("n"), (1,)),  # type: ignore[arg-type]
    "defaults that are no text": lambda r: r._operation_recorder(r.counter("n"), ("k",), defaults=(1,)),  # type: ignore[arg-type]
    "more defaults than keys": lambda r: r._operation_recorder(r.counter("n"), ("k",), defaults=("a", "b")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_recorder_that_cannot_be_made_raises(engine: Any, wrong: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(TypeError):
        WRONG[wrong](tm.Registry(engine=engine.name))
