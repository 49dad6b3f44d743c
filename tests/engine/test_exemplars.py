"""Exemplars that are given with a record: what is kept of them, where, and for how long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import tallymark as tm
from tallymark.engine.exemplar import EXPONENTIAL_PLACES, labels_text, place_of
from tallymark.engine.options import FamilyOptions
from tallymark.frozen import replace

A, B, C = ({"trace_id": letter} for letter in "abc")


@pytest.fixture
def clock(registry: tm.Registry) -> list[float]:
    """The registry's clock, which tells the time of exemplars."""
    clock = [1000.0]
    registry._families.hooks = replace(registry._families.hooks, now=lambda: clock[0])
    return clock


def exemplar(labels: dict[str, str], value: float, time: float) -> tm.Exemplar:
    return tm.Exemplar(tuple(labels.items()), value, time)


def kept(registry: tm.Registry, name: str = "n", **tags: str) -> list[tm.Exemplar]:
    found = registry.snapshot().find(name, tags)
    assert found is not None
    return list(found.exemplars)


def ids(registry: tm.Registry, name: str = "n", **tags: str) -> list[str]:
    """Return the first label's value of each exemplar of a series."""
    return [one.labels[0][1] for one in kept(registry, name, **tags)]


# Where they are kept


def test_a_counter_keeps_the_last_one_with_its_amount_and_time(registry: tm.Registry, clock: list[float]) -> None:
    counter = registry.counter("n")
    counter.inc(exemplar=A)
    assert kept(registry) == [exemplar(A, 1.0, 1000.0)]
    clock[0] += 0.25
    counter.add(2.5, exemplar=B)
    counter.inc()
    assert kept(registry) == [exemplar(B, 2.5, 1000.25)]


@pytest.mark.parametrize(("kind", "method"), [("histogram", "observe"), ("timer", "record")])
def test_a_bucket_keeps_its_last_one_and_they_come_in_the_order_of_the_buckets(
    registry: tm.Registry, clock: list[float], kind: str, method: str
) -> None:
    record = getattr(getattr(registry, kind)("n", buckets=(1, 2, 3)), method)
    for value, given in [(9, A), (0.5, B), (1, C), (2.5, A), (2, B), (2.25, C)]:
        record(value, exemplar=given)
        clock[0] += 1
    assert kept(registry) == [
        exemplar(C, 1.0, 1002.0), exemplar(B, 2.0, 1004.0), exemplar(C, 2.25, 1005.0), exemplar(A, 9.0, 1000.0),
    ]  # fmt: skip


def test_each_series_has_its_own(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=1))
    counter.inc(exemplar=A)
    counter.inc(exemplar=B, method="GET")
    counter.inc(method="POST", exemplar=C)
    assert ids(registry) == ["a"]
    assert ids(registry, method="GET") == ["b"]
    assert ids(registry, overflow="true") == ["c"]
    column = registry.snapshot()["n"].columns.exemplars
    assert [[one.labels for one in row] for row in column] == [[(("trace_id", letter),)] for letter in "abc"]


def test_the_column_is_empty_where_no_series_has_one(registry: tm.Registry) -> None:
    registry.counter("n").inc()
    registry.histogram("h").observe(1)
    registry.gauge("g").set(1)
    counter = registry.counter("some")
    counter.inc(exemplar=A)
    counter.inc(method="GET")
    snapshot = registry.snapshot()
    assert [family.columns.exemplars for family in snapshot.families if family.name != "some"] == [()] * 4
    assert [len(row) for row in snapshot["some"].columns.exemplars] == [1, 0]
    assert [len(one.exemplars) for one in snapshot["some"]] == [1, 0]
    assert [one.exemplars for one in snapshot["g"]] == [()]


def test_the_same_tags_in_another_registry_have_none(registry: tm.Registry, engine: Any) -> None:
    registry.counter("n").inc(exemplar=A)
    other = tm.Registry(engine=engine.name)
    other.counter("n").inc()
    assert kept(other) == []


# What is kept


def test_labels_stay_in_their_order_and_values_are_texts(registry: tm.Registry) -> None:
    registry.counter("n").inc(exemplar={"b": 5, "a": None, "_c9": 'é\0\n"\\\udc80'})
    (one,) = kept(registry)
    assert one.labels == (("b", "5"), ("a", "None"), ("_c9", 'é\0\n"\\\\udc80'))
    assert all(type(text) is str for label in one.labels for text in label)


@pytest.mark.parametrize("name", ["trace.id", "trace-id", "é", "1st", "", "a b", "a:b", "a\n", "ⅷ"])
def test_a_name_that_openmetrics_does_not_allow_is_rejected_and_the_one_before_stays(registry: tm.Registry, name: str) -> None:
    counter = registry.counter("n")
    counter.inc(exemplar=A)
    counter.inc(exemplar={name: "x"})
    assert counter.value == 2
    assert ids(registry) == ["a"]
    assert registry.snapshot().find("tallymark_rejected", metric="n", reason="exemplar").value == 1  # type: ignore[union-attr]


def test_one_that_is_too_long_is_rejected_and_the_one_before_stays(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    for value in ("é" * 120, "é" * 121):
        counter.inc(exemplar={"trace_id": value})
    assert counter.value == 2
    assert ids(registry) == ["é" * 120]


def test_one_that_is_given_while_its_module_is_imported_is_rejected(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a signal handler, in the first record that has an exemplar."""
    counter = registry.counter("n")
    monkeypatch.setitem(sys.modules, "tallymark.engine.exemplar", ModuleType("tallymark.engine.exemplar"))
    counter.inc(exemplar=A)
    monkeypatch.undo()
    assert counter.value == 1
    assert registry.snapshot().find("tallymark_rejected", metric="n", reason="exemplar").value == 1  # type: ignore[union-attr]


def test_an_empty_one_is_not_kept(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(exemplar=A)
    counter.inc(exemplar={})
    assert ids(registry) == ["a"]


def test_one_whose_number_is_rejected_is_not_kept(registry: tm.Registry) -> None:
    registry.counter("n").inc(-1, exemplar=A)
    registry.histogram("h").observe(float("nan"), exemplar=A)
    registry.timer("t").record(-1, exemplar=A)
    assert kept(registry) == kept(registry, "h") == kept(registry, "t") == []


def test_an_exemplar_never_changes(registry: tm.Registry) -> None:
    given = dict(A)
    registry.counter("n").inc(exemplar=given)
    (one,) = kept(registry)
    given["trace_id"] = "z"
    registry.counter("n").inc(exemplar=B)
    assert one.labels == (("trace_id", "a"),)
    with pytest.raises(AttributeError):
        one.value = 5.0  # type: ignore[misc]


# How long


def removed(registry: tm.Registry) -> None:
    registry.counter("n").with_tags(a="1").remove()


def unregistered(registry: tm.Registry) -> None:
    registry.unregister("n")


@pytest.mark.parametrize("end", [removed, unregistered], ids=lambda end: end.__name__)
@pytest.mark.parametrize("held", [True, False])
def test_it_ends_with_its_series(registry: tm.Registry, end: Callable[[tm.Registry], None], held: bool) -> None:
    counter = registry.counter("n")
    series = counter.with_tags(a="1")
    series.inc(exemplar=A)
    counter.inc(exemplar=B, a="2")
    if not held:
        del series
    end(registry)
    counter.inc(a="1")
    assert kept(registry, a="1") == []
    counter.inc(exemplar=C, a="1")
    assert ids(registry, a="1") == ["c"]


def test_it_ends_with_a_series_that_expires(registry: tm.Registry) -> None:
    now = [0.0]
    registry._families.hooks = replace(registry._families.hooks, uptime=lambda: now[0])
    counter = registry.counter("n", ttl=10)
    counter.inc(exemplar=A, a="1")
    registry.snapshot()
    now[0] += 11
    assert registry.expire() == 1
    counter.inc(a="1")
    assert kept(registry, a="1") == []


def test_series_that_come_and_go_keep_their_own(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=500))
    for round_ in range(3):
        for i in range(300):
            counter.inc(exemplar={"id": f"{round_}/{i}"}, i=i)
        for i in range(0, 300, 3):
            counter.with_tags(i=i).remove()
    found = {one.tags["i"]: [each.labels for each in one.exemplars] for one in registry.snapshot()["n"]}
    assert found == {str(i): [(("id", f"2/{i}"),)] for i in range(300) if i % 3}


# Deltas, and what does not show exemplars


def test_a_delta_has_those_that_are_new(registry: tm.Registry, clock: list[float]) -> None:
    counter, histogram = registry.counter("n"), registry.histogram("h", buckets=(1, 2))
    counter.inc(exemplar=A)
    histogram.observe(1, exemplar=A)
    histogram.observe(2, exemplar=A)
    before = registry.snapshot()
    assert tm.delta(before, registry.snapshot())["n"].columns.exemplars == ()
    clock[0] += 1
    histogram.observe(2, exemplar=B)
    counter.inc(exemplar=B, a="1")
    change = tm.delta(before, registry.snapshot())
    assert [[one.labels for one in row] for row in change["n"].columns.exemplars] == [[], [(("trace_id", "b"),)]]
    assert next(iter(change["h"])).exemplars == (exemplar(B, 2.0, 1001.0),)
    assert next(iter(change["h"])).count == 1


def test_what_reads_snapshots_reads_those_with_exemplars(registry: tm.Registry) -> None:
    registry.counter("n").inc(exemplar=A)
    registry.histogram("h").observe(1, exemplar={"trace_id": '<b>"\n'})
    snapshot = registry.snapshot()
    assert "<b>" not in snapshot._repr_html_()
    assert b"n_total 1" in tm.render_prometheus(snapshot)
    assert repr(next(iter(snapshot["n"]))) == "<SeriesView counter n 1>"
    assert eval(repr(snapshot["n"].data.exemplars[0][0]), {"Exemplar": tm.Exemplar})  # type: ignore[union-attr]


# Threads


@pytest.fixture
def quick_turns() -> Iterator[None]:
    """Let threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_turns")
def test_two_threads_never_mix_the_labels_of_one(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", buckets=(1, 2))
    stop = threading.Event()

    def record(letter: str) -> None:
        while not stop.is_set():
            histogram.observe(ord(letter), exemplar={"x": letter * 60, "y": letter * 60})

    threads = [threading.Thread(target=record, args=(letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    seen: set[str] = set()
    reads = 0
    try:
        while reads < 200 or len(seen) < 2:
            reads += 1
            for one in kept(registry):
                assert {(value[0], len(value)) for _, value in one.labels} == {(chr(int(one.value)), 60)}
                seen.add(one.labels[0][1][0])
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# The place of a value


def options(kind: str, bounds: tuple[float, ...] = ()) -> FamilyOptions:
    return FamilyOptions("n", kind, "", bounds, None, tm.TagLimits(), tm.TagSet())


def values() -> Iterator[float]:
    for exponent in range(-20, 20):
        for quarter in range(4):
            yield 2.0**exponent * (1 + quarter / 4)


def test_the_places_of_exponential_buckets_are_spread() -> None:
    places = [place_of(options("histogram"), value) for value in values()]
    assert set(places) == set(range(EXPONENTIAL_PLACES))
    for at in range(len(places) - EXPONENTIAL_PLACES + 1):  # any that differ by less than 32 times
        assert len(set(places[at : at + EXPONENTIAL_PLACES])) == EXPONENTIAL_PLACES
    assert [place_of(options("timer"), -value) for value in values()] == places
    assert place_of(options("timer"), 0.0) == 0


def test_values_that_differ_by_less_than_32_times_each_keep_theirs_in_exponential_buckets(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", exponential=True)
    values = [2.0**exponent * (1 + quarter / 4) for exponent in range(EXPONENTIAL_PLACES // 4) for quarter in range(4)]
    for value in (*values, -values[0]):
        histogram.observe(value, exemplar={"value": repr(value)})
    assert sorted(one.value for one in kept(registry)) == sorted([*values[1:], -values[0]])
    assert all(one.labels == (("value", repr(one.value)),) for one in kept(registry))
    assert histogram.snapshot().count == EXPONENTIAL_PLACES + 1


def test_a_text_in_shared_memory_has_at_most_512_bytes() -> None:
    names = [a + b for a in "abcdefgh" for b in "ijkl"]
    assert len(labels_text((("a", "\U0001f600" * 127),))) == 511
    assert len(labels_text(tuple((name, "\U0001f600\U0001f600") for name in names))) == 32 * (2 + 8 + 2) <= 512


def test_exponential_buckets_keep_the_last_exemplar_of_each_place(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", exponential=True)
    values = [1.3 ** (i % 45) * (-1) ** i for i in range(200)]
    for value in values:
        histogram.observe(value, exemplar={"v": str(value)})
    last = {place_of(options("histogram"), value): value for value in values}
    assert [one.value for one in kept(registry)] == [last[place] for place in sorted(last)]
