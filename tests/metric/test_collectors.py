"""Collectors: what a registry asks for families when it is read; each of them can spoil its own families, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from math import inf, isnan, nan
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from tallymark.frozen import replace
from tallymark.serve.pages import PageRequest, page

TWO = tm.HistogramSnapshot((1.0, 2.0), (1, 2, 3), 11.5, 0.5, 4.0)


class Collector:
    """Returns what it was made with, or what that returns."""

    def __init__(self, what: Any) -> None:
        self.what = what
        self.asked = 0

    def collect(self) -> Any:
        self.asked += 1
        return self.what() if callable(self.what) else self.what


def gauge(name: str = "pool", value: Any = 4.0, **tags: str) -> tm.FamilySnapshot:
    return tm.family("gauge", name, [(tags, value)])


def names(registry: tm.Registry) -> list[str]:
    return [family.name for family in registry.snapshot().families if not family.name.startswith("tallymark_")]


def rejected(registry: tm.Registry) -> dict[tuple[str, str], float]:
    """Return what was rejected up to now; what collectors do at this reading is told by the next."""
    snapshot = registry.snapshot()
    if "tallymark_rejected" not in snapshot:
        return {}
    return {(one.tags["metric"], one.tags["reason"]): one.value for one in snapshot["tallymark_rejected"]}


def scraped(registry: tm.Registry) -> dict[str, Any]:
    """Scrape the registry over its page, and return the families that Prometheus' own parser reads."""
    got = page(PageRequest("GET", "/metrics", "", {}), registry)
    assert got.status == 200
    families = list(text_string_to_metric_families(got.body.decode()))
    samples = [(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples]
    assert len(set(samples)) == len(samples)
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


# Registered, unregistered


def test_a_collector_is_asked_at_each_reading(registry: tm.Registry) -> None:
    values = iter((1.0, 2.0))
    collector = Collector(lambda: [gauge(value=next(values), pool="a")])
    registry.register(collector)
    assert collector.asked == 0
    assert [registry.snapshot()["pool"].data.values for _ in range(2)] == [(1.0,), (2.0,)]


def test_families_of_collectors_come_after_those_of_instruments_in_order(registry: tm.Registry) -> None:
    registry.register(Collector([gauge("z"), gauge("y")]))
    registry.register(Collector(iter([gauge("x")])))
    registry.counter("a")
    assert names(registry) == ["a", "z", "y", "x"]
    assert registry.snapshot().families[-1].name == "tallymark_series"
    found = registry.snapshot().find("tallymark_series", metric="y")
    assert found is not None
    assert found.value == 1


def test_an_unregistered_collector_is_asked_no_more(registry: tm.Registry) -> None:
    one, other = Collector([gauge("a")]), Collector([gauge("b")])
    assert registry.unregister(one) is False
    registry.register(one)
    registry.register(other)
    assert registry.unregister(one) is True
    assert registry.unregister(one) is False
    assert names(registry) == ["b"]


def test_the_same_collector_is_registered_once(registry: tm.Registry) -> None:
    collector = Collector([gauge()])
    registry.register(collector)
    registry.register(collector)
    registry.snapshot()
    assert collector.asked == 1
    assert rejected(registry) == {}


class Equal(Collector):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal)

    __hash__ = None  # type: ignore[assignment]


def test_a_collector_takes_the_place_of_one_that_is_equal_to_it(registry: tm.Registry) -> None:
    registry.register(Equal([gauge("old")]))
    registry.register(Collector([gauge("other")]))
    registry.register(Equal([gauge("new")]))
    assert names(registry) == ["new", "other"]
    assert registry.unregister(Equal([])) is True
    assert names(registry) == ["other"]


@pytest.mark.parametrize(
    "wrong", [5, None, object(), SimpleNamespace(collect=5), [gauge()]], ids=lambda one: type(one).__name__
)
def test_what_has_no_method_collect_is_a_type_error(registry: tm.Registry, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"a collector must have a method collect\(\)"):
        registry.register(wrong)


def test_a_closed_registry_forgets_its_collectors(registry: tm.Registry) -> None:
    registry.register(Collector([gauge()]))
    registry.close()
    assert names(registry) == []
    registry.register(Collector([gauge()]))
    assert names(registry) == ["pool"]


def test_a_collector_may_register_another_while_it_is_asked(registry: tm.Registry) -> None:
    class Parent:
        def collect(self) -> list[tm.FamilySnapshot]:
            registry.register(Equal([gauge("child")]))
            registry.unregister(self)
            return [gauge("parent")]

    registry.register(Parent())
    assert names(registry) == ["parent"]
    assert names(registry) == ["child"]


# One that fails


class HostileError(Exception):
    def __repr__(self) -> str:
        raise SystemExit("no")


class NamedBadly:
    @property
    def name(self) -> str:
        raise SystemExit("no")

    def collect(self) -> list[object]:
        return [5]


class NameIsNoText(Collector):
    name = HostileError()


def raising(error: BaseException) -> Callable[[], Any]:
    def collect() -> Any:
        raise error

    return collect


def partly() -> Iterator[tm.FamilySnapshot]:
    yield gauge("first")
    raise ValueError("mine")


GOOD = tm.family("gauge", "pool", [({"a": "1"}, 1.0), ({"a": "2"}, 2.0)])
GOOD_HISTOGRAM = tm.family("histogram", "h", [({}, TWO)])
EXPONENTIAL = tm.ExponentialHistogramData((tm.TagSet(),), (0.0,), (0,), (0,), ((0, (1,)),), ((0, ()),), (1.0,), (1.0,), (1.0,))
GOOD_EXPONENTIAL = tm.FamilySnapshot("e", "histogram", "", "", EXPONENTIAL)
GOOD_SUMMARY = tm.FamilySnapshot("s", "summary", "", "", tm.SummaryData((tm.TagSet(),), (5.0,), (2,), (1.5,), (((0.5, 0.7),),)))
EXEMPLAR = tm.Exemplar((("trace_id", "4f"),), 1.0, 9.0)
NUMBERED, SINGLE, MAPPED = [tm.Exemplar(labels, 1.0, 9.0) for labels in ((("a", 1),), ("a",), {"ab": "c"})]  # type: ignore[arg-type]
TIMELESS = replace(EXEMPLAR, time=None)

FAILING: dict[str, Any] = {
    "Exception": Collector(raising(ValueError("mine"))),
    "SystemExit": Collector(raising(SystemExit(3))),
    "CancelledError": Collector(raising(asyncio.CancelledError())),
    "GeneratorExit": Collector(raising(GeneratorExit())),
    "RecursionError": Collector(raising(RecursionError())),
    "an error without a repr": Collector(raising(HostileError())),
    "fails after its first family": Collector(partly),
    "has a name that fails": NamedBadly(),
    "has a name that is no text": NameIsNoText(raising(ValueError("mine"))),
    "returns None": Collector(None),
    "returns text": Collector("pool"),
    "returns numbers": Collector([1.0, 2.0]),
    "returns dicts": Collector([{"name": "pool", "value": 1}]),
    "returns a family and garbage": Collector([gauge("first"), None]),
    "returns the class": Collector([tm.FamilySnapshot]),
    "returns a snapshot": Collector(tm.Snapshot((gauge(),), 0.0)),
    "a name that is not valid": Collector([replace(GOOD, name="1 2")]),
    "a name that is no text": Collector([replace(GOOD, name=None)]),
    "a kind that is unknown": Collector([replace(GOOD, kind="meter")]),
    "a kind that cannot be a key": Collector([replace(GOOD, kind=[])]),
    "a kind that its data does not fit": Collector([replace(GOOD, kind="histogram")]),
    "no description": Collector([replace(GOOD, description=None)]),
    "no unit": Collector([replace(GOOD, unit=5)]),
    "no data": Collector([replace(GOOD, data=None)]),
    "data of another type": Collector([replace(GOOD, data=(1.0,))]),
    "tags are missing": Collector([replace(GOOD, data=replace(GOOD.data, tags=None))]),
    "tags are no mappings": Collector([replace(GOOD, data=replace(GOOD.data, tags=("a", "b")))]),
    "tags are alike": Collector([replace(GOOD, data=replace(GOOD.data, tags=({"a": "1"}, {"a": "1"})))]),
    "tags that cannot be": Collector([replace(GOOD, data=replace(GOOD.data, tags=({"a b": "1"}, {})))]),
    "too few values": Collector([replace(GOOD, data=replace(GOOD.data, values=(1.0,)))]),
    "values that are text": Collector([replace(GOOD, data=replace(GOOD.data, values=("1", "2")))]),
    "a total below 0": Collector([replace(GOOD, kind="counter", data=replace(GOOD.data, values=(1.0, -1.0)))]),
    "counts below 0": Collector([replace(GOOD_HISTOGRAM, data=replace(GOOD_HISTOGRAM.data, bucket_counts=((1, -2, 3),)))]),
    "too few counts": Collector([replace(GOOD_HISTOGRAM, data=replace(GOOD_HISTOGRAM.data, bucket_counts=((1, 2),)))]),
    "bounds that do not ascend": Collector([replace(GOOD_HISTOGRAM, data=replace(GOOD_HISTOGRAM.data, bounds=(2.0, 1.0)))]),
    "an exponential count below 0": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, positives=((0, (-1,)),)))]),
    "an odd exponential bucket": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, positives=((0.5, (1,)),)))]),
    "a scale that nobody has": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, scales=(99,)))]),
    "exemplars that are none": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, exemplars=((1,),)))]),
    "exemplars of other series": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, exemplars=((), ())))]),
    "an exemplar of numbers": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, exemplars=((NUMBERED,),)))]),
    "an exemplar of single texts": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, exemplars=((SINGLE,),)))]),
    "an exemplar of a mapping": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, exemplars=((MAPPED,),)))]),
    "an exemplar without a time": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, exemplars=((TIMELESS,),)))]),
    "a count that no double holds": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, zero_counts=(10**400,)))]),
    "a scale that is no number": Collector([replace(GOOD_EXPONENTIAL, data=replace(EXPONENTIAL, scales=(True,)))]),
    "a quantile twice": Collector(
        [replace(GOOD_SUMMARY, data=replace(GOOD_SUMMARY.data, quantiles=(((0.5, 1.0), (0.5, 2.0)),)))]
    ),
    "a quantile above 1": Collector([replace(GOOD_SUMMARY, data=replace(GOOD_SUMMARY.data, quantiles=(((2.0, 1.0),),)))]),
    "too few times": Collector([replace(GOOD_SUMMARY, data=replace(GOOD_SUMMARY.data, created=()))]),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
def test_a_collector_that_fails_spoils_only_itself(registry: tm.Registry, caplog: pytest.LogCaptureFixture, name: str) -> None:
    registry.counter("ok").inc()
    registry.register(Collector([gauge("before")]))
    registry.register(FAILING[name])
    registry.register(Collector([gauge("after")]))
    with caplog.at_level(logging.WARNING, logger="tallymark"):
        for _ in range(3):
            assert names(registry) == ["ok", "before", "after"]
    who = type(FAILING[name]).__name__
    assert rejected(registry) == {(who, "collector"): 3}
    [record] = caplog.records
    assert f"metric {who!r}: the collector failed: " in record.getMessage()
    assert {"ok", "before", "after"} <= scraped(registry).keys()


@pytest.mark.parametrize("name", FAILING)
def test_a_strict_registry_raises_for_a_collector_that_fails(strict_registry: tm.Registry, name: str) -> None:
    strict_registry.register(FAILING[name])
    with pytest.raises(ValueError, match="the collector failed: "):
        strict_registry.snapshot()
    strict_registry.unregister(FAILING[name])
    assert names(strict_registry) == []


def test_a_keyboard_interrupt_passes_and_leaves_the_registry_as_it_was(registry: tm.Registry) -> None:
    interrupts = [True]

    def collect() -> list[tm.FamilySnapshot]:
        if interrupts:
            raise KeyboardInterrupt
        return [gauge()]

    registry.register(Collector(collect))
    with pytest.raises(KeyboardInterrupt):
        registry.snapshot()
    interrupts.clear()
    assert names(registry) == ["pool"]


def test_a_callback_that_fails_in_any_way_spoils_only_its_metric(registry: tm.Registry) -> None:
    errors = [asyncio.CancelledError(), GeneratorExit(), SystemExit(1), HostileError(), ValueError("mine")]
    for i, error in enumerate(errors):
        registry.gauge(f"failing_{i}", callback=raising(error))
    registry.gauge("ok", callback=lambda: 1.0)
    assert names(registry) == ["ok"]
    assert rejected(registry) == {(f"failing_{i}", "callback"): 2 for i in range(len(errors))}
    assert {"ok", "tallymark_series", "tallymark_rejected"} == scraped(registry).keys()


# What instruments have, and what other libraries have


WHOLE = {
    "counter": tm.SumData((tm.TagSet(a="b"),), (5.0,), (1.0,), True, ((EXEMPLAR,),)),
    "gauge": tm.GaugeData((tm.TagSet(a="b"),), (5.0,), (1.0,)),
    "a sum that goes down": tm.SumData((tm.TagSet(a="b"),), (5.0,), (-1.0,), False),
    "histogram": tm.HistogramData((tm.TagSet(a="b"),), (5.0,), (1.0,), ((1, 2),), (9.0,), (0.5,), (4.0,), ((EXEMPLAR,),)),
    "exponential": replace(EXPONENTIAL, tags=(tm.TagSet(a="b"),), created=(5.0,), exemplars=((EXEMPLAR,),)),
    "summary": replace(GOOD_SUMMARY.data, tags=(tm.TagSet(a="b"),)),
    "info": tm.InfoData((tm.TagSet(a="b"),), (5.0,)),
    "stateset": tm.StateSetData((tm.TagSet(state="b"),), (5.0,), (1.0,)),
    "a stateset with another key": tm.StateSetData((tm.TagSet(a="b"),), (5.0,), (1.0,), "a"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_collector_tells_of_its_series_is_all_in_the_snapshot(registry: tm.Registry, name: str) -> None:
    kind = {"a sum that goes down": "gauge", "exponential": "histogram", "a stateset with another key": "stateset"}.get(
        name, name
    )
    registry.register(Collector([tm.FamilySnapshot("m", kind, "", "", WHOLE[name])]))
    assert rejected(registry) == {}
    assert registry.snapshot()["m"].kind == kind
    assert registry.snapshot()["m"].data == WHOLE[name]


def test_a_time_of_creation_that_is_none_is_unknown(registry: tm.Registry) -> None:
    tags = tuple([tm.TagSet(a=str(i)) for i in range(3)])
    registry.register(Collector([tm.FamilySnapshot("m", "gauge", "", "", tm.GaugeData(tags, (nan, inf, -1.0), (1.0,) * 3))]))
    assert registry.snapshot()["m"].data.created == (0.0,) * 3


class Many:
    """Speaks for many others."""

    def collect(self) -> list[tm.FamilySnapshot]:
        raise AssertionError

    def collect_or_reject(self, reject: Callable[[str, str, Callable[[], str]], None]) -> Iterator[tm.FamilySnapshot]:
        reject("other", "value", lambda: "it is broken")
        yield gauge()


def test_a_collector_of_many_rejects_what_one_of_them_spoils(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.register(Many())
    assert names(registry) == ["pool"]
    assert rejected(registry) == {("other", "value"): 1}
    assert "it is broken" in caplog.text


def test_a_strict_registry_raises_for_what_a_collector_of_many_rejects(strict_registry: tm.Registry) -> None:
    strict_registry.register(Many())
    with pytest.raises(ValueError, match="it is broken"):
        strict_registry.snapshot()


# Names that are taken


def test_a_name_that_an_instrument_has_is_left_out(registry: tm.Registry) -> None:
    registry.counter("n").inc(5)
    registry.register(Collector([gauge("n"), gauge("free")]))
    assert names(registry) == ["n", "free"]
    assert registry.snapshot()["n"].kind == "counter"
    assert rejected(registry) == {("n", "name_taken"): 2}


def test_a_metric_whose_callback_fails_keeps_its_name(registry: tm.Registry) -> None:
    def fail() -> float:
        raise RuntimeError

    registry.gauge("n", callback=fail)
    registry.register(Collector([gauge("n")]))
    assert "n" not in registry.snapshot()


def test_a_name_that_another_collector_or_itself_returned_is_left_out(registry: tm.Registry) -> None:
    registry.register(Collector([gauge("n", 1.0), gauge("n", 2.0)]))
    registry.register(Collector([gauge("n", 3.0)]))
    assert registry.snapshot()["n"].data.values == (1.0,)
    assert rejected(registry) == {("n", "name_taken"): 2}


def test_an_instrument_that_comes_later_has_the_name(registry: tm.Registry) -> None:
    registry.register(Collector([gauge("n")]))
    assert registry.snapshot()["n"].kind == "gauge"
    registry.histogram("n").observe(1)
    assert registry.snapshot()["n"].kind == "histogram"
    assert "n" in " ".join(scraped(registry))


def test_a_strict_registry_raises_for_a_name_that_is_taken(strict_registry: tm.Registry) -> None:
    strict_registry.register(Collector([gauge("n"), gauge("n")]))
    with pytest.raises(ValueError, match="'n': a collector returned it, but its name is taken"):
        strict_registry.snapshot()


def test_a_registry_may_tell_what_another_one_holds(engine: Any) -> None:
    inner, outer = tm.Registry(engine=engine.name), tm.Registry(engine=engine.name, tags={"host": "h"})
    inner.counter("requests").inc(2, a="1")
    inner.timer("took").record(0.1)
    outer.gauge("depth").set(5)
    outer.register(Collector(lambda: inner.snapshot().families))
    snapshot = outer.snapshot()
    assert [(one.name, dict(one.tags)) for one in snapshot][:3] == [
        ("depth", {"host": "h"}), ("requests", {"a": "1", "host": "h"}), ("took", {"host": "h"})
    ]  # fmt: skip
    scraped(outer)  # has tallymark_series once
    assert rejected(outer) == {("tallymark_series", "name_taken"): 2}
    silent = tm.Registry(engine=engine.name, self_metrics=False)
    silent.register(Collector(lambda: inner.snapshot().families))
    assert [one.value for one in silent.snapshot()["tallymark_series"]] == [1, 1]


# Others


def test_a_slow_collector_is_counted_and_logged_however_strict(
    registry: tm.Registry, strict_registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = [0.0]
    monkeypatch.setattr("tallymark.metric.collectors.monotonic", lambda: seconds[0])

    class Slow:
        name = "slow one"

        def __init__(self, takes: float) -> None:
            self.takes = takes

        def collect(self) -> list[tm.FamilySnapshot]:
            seconds[0] += self.takes
            return [gauge()]

    for each in (registry, strict_registry):
        each.register(Slow(1.5))
        assert names(each) == ["pool"]
        assert rejected(each) == {("slow one", "slow_collector"): 1}
    assert [record.getMessage()[:75] for record in caplog.records] == [
        "metric 'slow one': the collector took 1.5 s, and scrapes wait for it. Furth"
    ] * 2
    quick = tm.Registry()
    quick.register(Slow(1.0))
    assert names(quick) == ["pool"]
    assert rejected(quick) == {}


def test_a_collector_that_takes_a_snapshot_sees_instruments_and_asks_nobody(registry: tm.Registry) -> None:
    registry.counter("n").inc()
    registry.gauge("called", callback=lambda: 1.0)
    registry.snapshot()
    other = Collector([gauge("other")])

    class Curious:
        def collect(self) -> list[tm.FamilySnapshot]:
            inner = registry.snapshot()
            return [gauge("families", len(inner.families)), gauge("has_other", float("other" in inner))]

    registry.register(other)
    registry.register(Curious())
    snapshot = registry.snapshot()
    assert snapshot["families"].data.values == (3.0,)  # n, called, tallymark_series
    assert snapshot["has_other"].data.values == (0.0,)
    assert other.asked == 1
    registry.snapshot()
    assert other.asked == 2  # it is not taken for a reading within a reading any more


def test_threads_that_read_at_the_same_time_all_ask(registry: tm.Registry) -> None:
    barrier = threading.Barrier(3, timeout=10)

    def collect() -> list[tm.FamilySnapshot]:
        barrier.wait()  # all three are within
        return [gauge()]

    registry.register(Collector(collect))
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(names(registry))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["pool"]] * 3


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram", "timer", "summary", "info", "stateset"])
def test_tags_of_the_registry_are_on_all_series_but_do_not_win(engine: Any, kind: Any) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h", "zone": "z"})
    value = {"histogram": TWO, "timer": TWO, "summary": (1, 2.0)}.get(kind, 1.0)
    series = [({"state": "a"}, value), ({"state": "b", "host": "x"}, value)]
    registry.register(Collector([tm.family(kind, "n", series, description="Text.")]))
    family = registry.snapshot()["n"]
    assert [dict(one.tags) for one in family] == [
        {"host": "h", "state": "a", "zone": "z"}, {"host": "x", "state": "b", "zone": "z"}
    ]  # fmt: skip
    assert (family.kind, family.description, type(family.data)) == (kind, "Text.", type(tm.family(kind, "n", series).data))
    scraped(registry)


# tm.family

FAMILIES: dict[str, tuple[Any, type, list[Any]]] = {
    "counter": (5, tm.SumData, [5.0]),
    "gauge": (-2.5, tm.GaugeData, [-2.5]),
    "histogram": (TWO, tm.HistogramData, [TWO]),
    "timer": (TWO, tm.HistogramData, [TWO]),
    "summary": ((3, 4.5), tm.SummaryData, [(3, 4.5)]),
    "info": (1, tm.InfoData, [1.0]),
    "stateset": (True, tm.StateSetData, [1.0]),
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_of_each_kind_is_made_by_hand(kind: Any) -> None:
    value, data_type, held = FAMILIES[kind]
    family = tm.family(kind, "n", [({"state": "a", "n": 5}, value)], description="Text.", unit="bytes")
    assert (family.name, family.kind, family.description, len(family)) == ("n", kind, "Text.", 1)
    assert family.unit == ("seconds" if kind == "timer" else "bytes")
    assert type(family.data) is data_type
    assert dict(family.data.tags[0]) == {"n": "5", "state": "a"}
    assert family.data.created == (0.0,)
    [one] = family
    found = (one.count, one.sum) if kind == "summary" else one.histogram if data_type is tm.HistogramData else one.value
    assert [found] == held
    assert tm.family(kind, "n", []).data.tags == ()


@pytest.mark.parametrize("value", [nan, inf, -inf, -1.0, 1e300])
def test_a_gauge_may_have_any_number(value: float) -> None:
    [one] = tm.family("gauge", "n", [({}, value)])
    assert one.value == value or isnan(value)


def hist(bounds: Any = (1.0, 2.0), counts: Any = (1, 2, 3), total: Any = 1.0, least: Any = 1.0, most: Any = 1.0) -> Any:
    return tm.HistogramSnapshot(bounds, counts, total, least, most)


INVALID: dict[str, tuple[type[Exception], str, tuple[Any, ...]]] = {
    "unknown kind": (ValueError, "no kind 'meter'; there are 'counter'", ("meter", "n", [])),
    "kind of another type": (ValueError, "no kind None", (None, "n", [])),
    "name": (ValueError, "metric name '1n' is not valid", ("gauge", "1n", [])),
    "empty name": (ValueError, "is not valid", ("gauge", "", [])),
    "name of another type": (TypeError, "name must be a str", ("gauge", 5, [])),
    "series of another type": (TypeError, "int", ("gauge", "n", 5)),
    "no pairs": (TypeError, ".", ("gauge", "n", [5])),
    "one for a pair": (ValueError, ".", ("gauge", "n", [({},)])),
    "tags of another type": (TypeError, "tags must be a mapping", ("gauge", "n", [(["a"], 1.0)])),
    "a tag key": (tm.TagError, "'a b' is not valid", ("gauge", "n", [({"a b": "c"}, 1.0)])),
    "a tag key of another type": (TypeError, "tag keys must be str", ("gauge", "n", [({1: "c"}, 1.0)])),
    "a tag value": (TypeError, "one text", ("gauge", "n", [({"a": ["c"]}, 1.0)])),
    "tags twice": (ValueError, "two series have the same tags", ("gauge", "n", [({"a": 1}, 1.0), ({"a": "1"}, 2.0)])),
    "a value of another type": (TypeError, "a number is needed, not str", ("gauge", "n", [({}, "1")])),
    "a value that is too large": (ValueError, "too large", ("gauge", "n", [({}, 10**400)])),
    "a total below 0": (ValueError, "finite number from 0", ("counter", "n", [({}, -1.0)])),
    "a total that is no number": (ValueError, "finite number from 0", ("counter", "n", [({}, nan)])),
    "an infinite total": (ValueError, "finite number from 0", ("counter", "n", [({}, inf)])),
    "a total of another type": (TypeError, "NoneType", ("counter", "n", [({}, None)])),
    "an info that is not 1": (ValueError, "always 1", ("info", "n", [({}, 2.0)])),
    "an info that is NaN": (ValueError, "always 1", ("info", "n", [({}, nan)])),
    "a state without a tag": (ValueError, "tag 'state'", ("stateset", "n", [({"a": "b"}, 1.0)])),
    "a state that is 2": (ValueError, "0 or 1", ("stateset", "n", [({"state": "a"}, 2.0)])),
    "a summary of one number": (TypeError, ".", ("summary", "n", [({}, 1.0)])),
    "a summary of three": (ValueError, ".", ("summary", "n", [({}, (1, 2, 3))])),
    "a count below 0": (ValueError, "a count is an int from 0, not -1", ("summary", "n", [({}, (-1, 2.0))])),
    "a count of more than 64 bits": (ValueError, "at most 64 bits, and one takes 65", ("summary", "n", [({}, (2**64, 2.0))])),
    "a count that is no int": (ValueError, "a count is an int from 0, not 1.5", ("summary", "n", [({}, (1.5, 2.0))])),
    "a sum of another type": (TypeError, "str", ("summary", "n", [({}, (1, "2"))])),
    "a histogram of numbers": (TypeError, "is a HistogramSnapshot, not float", ("histogram", "n", [({}, 1.0)])),
    "other bounds": (ValueError, "same bounds", ("timer", "n", [({}, TWO), ({"a": "b"}, hist((1.0, 3.0)))])),
    "bounds that descend": (ValueError, "bounds ascend", ("histogram", "n", [({}, hist((2.0, 1.0)))])),
    "bounds that are equal": (ValueError, "bounds ascend", ("histogram", "n", [({}, hist((1.0, 1.0)))])),
    "a NaN bound": (ValueError, "finite", ("histogram", "n", [({}, hist((1.0, nan)))])),
    "an infinite bound": (ValueError, "finite", ("histogram", "n", [({}, hist((1.0, inf)))])),
    "an infinite bound below": (ValueError, "finite", ("histogram", "n", [({}, hist((-inf, 1.0)))])),
    "too few buckets": (ValueError, "one bucket more", ("histogram", "n", [({}, hist(counts=(1, 2)))])),
    "bucket counts that are no ints": (ValueError, "a count is an int", ("histogram", "n", [({}, hist(counts=(1, 2, 3.0)))])),
    "a sum that is text": (TypeError, "str", ("histogram", "n", [({}, hist(total="1"))])),
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
def test_a_family_that_cannot_be_raises_at_once(name: str) -> None:
    error, message, arguments = INVALID[name]
    with pytest.raises(error, match=message):
        tm.family(*arguments)


@pytest.mark.parametrize("option", ["description", "unit"])
def test_texts_of_a_family_are_text(option: str) -> None:
    with pytest.raises(TypeError, match=f"{option} must be a str"):
        tm.family("gauge", "n", [], **{option: None})


def test_a_collector_is_what_the_protocol_says() -> None:
    assert tm.Collector.__doc__
    with pytest.raises(TypeError):
        tm.Collector()  # type: ignore[misc]


class Meddler(Collector):
    """Does something once when it is compared, as another thread might at that moment."""

    meddle: Callable[[], object] | None = None

    def __eq__(self, other: object) -> bool:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()
        return other is self

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("change", ["register", "unregister"])
def test_a_collector_registered_during_another_change_is_kept(registry: tm.Registry, change: str) -> None:
    first = Meddler([gauge("first")])
    registry.register(first)
    first.meddle = lambda: registry.register(Collector([gauge("meanwhile")]))
    getattr(registry, change)(Collector([gauge("second")]))
    assert names(registry) == ["first", "meanwhile", *(["second"] if change == "register" else [])]
