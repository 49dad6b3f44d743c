"""What the feed of the live page tells: documents that, put together, are what the registry holds."""

from __future__ import annotations

import json
import logging
import math
import sys
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import tallymark as tm
from tallymark.serve.live import documents as documents_module
from tallymark.serve.live.documents import Documents

NASTY = ['<script>alert("1")</script>', "a\u2028b\u2029", "\udc80", "\x00\x1f\n\r", "\u202e right to left", "🌶", '"\\', ""]
MOST_CALLS = 30
"""Functions that a reading calls for each metric: each costs a thousand instructions, once a second."""
HEAD = ("name", "exposed", "kind", "type", "monotonic", "unit", "description", "limit")


def read(documents: Documents, registry: tm.Registry) -> dict[str, Any]:
    """Return what changed; it must fit in one event, and be strict JSON."""
    return parsed(documents.read(registry, 1.0))


def whole(documents: Documents) -> dict[str, Any]:
    return parsed(documents.whole())


def parsed(document: bytes) -> dict[str, Any]:
    assert b"\n" not in document
    assert b"\r" not in document
    told = json.loads(document.decode("utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(told, dict)
    return told


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    families = {family["name"]: family for family in document["families"]}
    assert len(families) == len(document["families"])
    return families


def first(registry: tm.Registry, most: int = 5000) -> dict[str, Any]:
    documents = Documents(registry, most)
    read(documents, registry)
    return whole(documents)


class Page:
    """What a page knows that was sent everything, and then what changed."""

    def __init__(self, registry: tm.Registry) -> None:
        self.registry = registry
        self.documents = Documents(registry)
        self.documents.read(registry, 1.0)
        self.families = by_name(whole(self.documents))

    def advance(self) -> dict[str, Any]:
        told = read(self.documents, self.registry)
        assert told["complete"] is False
        for name in told.get("gone", []):
            del self.families[name]
        for name, family in by_name(told).items():
            if "series" in family:
                self.families[name] = family
            else:
                known = self.families[name]
                rows = {row[0]: row for row in known["rows"]}
                rows |= {row[0]: self.completed(known["type"], rows[row[0]], row) for row in family["rows"]}
                self.families[name] = known | family | {"rows": list(rows.values())}
        return told

    @staticmethod
    def completed(kind: str, before: list[Any], change: list[Any]) -> list[Any]:
        """Return a row that changed with all that it has: of a histogram, only the buckets that changed are told."""
        if kind != "histogram":
            return change
        row = [*change[:3], *before[3:]]
        for index, count in zip(change[3::2], change[4::2], strict=True):
            assert row[3 + index] != count
            row[3 + index] = count
        return row

    def is_right(self) -> bool:
        return self.families == by_name(whole(self.documents))


# One document


def test_a_document_tells_of_the_service_and_its_process(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    told = first(registry)
    assert list(told) == ["time", "every", "complete", "service", "processes", "families"]
    assert (told["every"], told["complete"]) == (1.0, True)
    assert list(told["service"]) == ["name", "host", "pid", "python", "engine", "version"]
    assert (told["service"]["name"], told["service"]["engine"]) == ("shop", registry._engine.name)
    (process,) = told["processes"]
    assert list(process) == ["pid", "started", "cpu", "rss"]
    assert process["pid"] == told["service"]["pid"]
    assert process["cpu"] > 0


def test_a_service_is_called_as_its_tags_say() -> None:
    assert first(tm.Registry(tags={"service": "shop"}))["service"]["name"] == "shop"
    assert first(tm.Registry(tags={"service.name": "a", "service": "b"}))["service"]["name"] == "a"


def test_each_kind_has_its_rows(registry: tm.Registry) -> None:
    registry.counter("hits", description="Hits.", unit="requests").inc(3, a="b")
    registry.gauge("level").set(-1.5)
    registry.histogram("size", unit="bytes", buckets=[1, 10]).observe(5)
    registry.histogram("size", unit="bytes", buckets=[1, 10]).observe(50)
    registry.timer("wait", buckets=[1]).record(0.5)
    registry.info("build", version="1.2")
    registry.state("mode", ["on", "off"]).set("on")
    spread = registry.histogram("spread", exponential=True)
    for value in (1.5, 1.5, 0, -3):
        spread.observe(value)
    told = by_name(first(registry))
    assert told["hits"] == {
        "name": "hits", "exposed": "hits_requests_total", "kind": "counter", "type": "sum", "monotonic": True,
        "unit": "requests", "description": "Hits.", "limit": 1000, "series": [{"a": "b"}], "rows": [[0, 3.0]],
    }  # fmt: skip
    assert (told["level"]["type"], told["level"]["rows"]) == ("gauge", [[0, -1.5]])
    assert (told["size"]["bounds"], told["size"]["rows"]) == ([1.0, 10.0], [[0, 2, 55.0, 0, 1, 1]])
    assert (told["wait"]["kind"], told["wait"]["exposed"], told["wait"]["rows"]) == (
        "timer",
        "wait_seconds",
        [[0, 1, 0.5, 1, 0]],
    )
    info = told["build_info"]
    assert (info["type"], info["series"], info["rows"]) == ("info", [{"version": "1.2"}], [[0, 1.0]])
    assert told["mode"]["type"] == "stateset"
    assert sorted(row[1] for row in told["mode"]["rows"]) == [0.0, 1.0]
    ((place, count, total, scale, zero_count, positive, negative),) = told["spread"]["rows"]
    assert (told["spread"]["type"], place, count, total, zero_count) == ("exponential", 0, 4, 0.0, 1)
    snapshot = registry.snapshot()["spread"].columns
    assert (scale, positive[0], negative[0]) == (snapshot.scales[0], snapshot.positives[0][0], snapshot.negatives[0][0])
    assert (sum(positive[1]), sum(negative[1])) == (2, 1)
    assert told["tallymark_series"]["limit"] is None
    assert all(list(family)[:8] == list(HEAD) for family in told.values())


def test_a_summary_of_a_collector(registry: tm.Registry) -> None:
    class Collector:
        def collect(self) -> list[tm.FamilySnapshot]:
            return [tm.family("summary", "waits", [({"a": "b"}, (3, 1.5))])]

    registry.register(Collector())
    told = by_name(first(registry))["waits"]
    assert (told["type"], told["rows"], told["limit"]) == ("summary", [[0, 3, 1.5]], None)


@pytest.mark.parametrize(
    ("value", "told"),
    [(math.nan, None), (math.inf, "+Inf"), (-math.inf, "-Inf"), (-0.0, -0.0), (1e300, 1e300), (5e-324, 5e-324)],
)
def test_numbers_that_json_does_not_have(registry: tm.Registry, value: float, told: object) -> None:
    registry.gauge("level").set(value)
    page = Page(registry)
    assert page.families["level"]["rows"] == [[0, told]]
    assert page.advance()["families"] == []  # also where it is not equal to itself
    registry.gauge("level").set(1)
    assert by_name(page.advance())["level"] == {"name": "level", "rows": [[0, 1.0]]}


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_texts_that_users_wrote_arrive_as_they_are(registry: tm.Registry, text: str) -> None:
    registry.counter("hits", description=text).inc(a=text)
    told = by_name(first(registry))["hits"]
    if text == "\udc80":  # which UTF-8 cannot carry
        assert (told["description"], told["series"]) == ("?", [{"a": "\\udc80"}])
    else:
        assert (told["description"], told["series"]) == (text, [{"a": text}])


# What changed


def test_nothing_changed(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    page = Page(registry)
    told = page.advance()
    assert list(told) == ["time", "every", "complete", "processes", "families"]
    assert told["families"] == []


def test_only_rows_that_changed_are_told(registry: tm.Registry) -> None:
    hits, sizes = registry.counter("hits"), registry.histogram("size", buckets=[1])
    for place in range(3000):  # several blocks of the native engine
        registry.counter("hits", limits=None).inc(a=place)
        if place < 3:
            sizes.observe(place, a=place)
    page = Page(registry)
    hits.inc(a=900)
    hits.inc(2, a=0)
    sizes.observe(0.5, a=2)
    assert page.advance()["families"] == [
        {"name": "hits", "rows": [[0, 3.0], [900, 2.0]]}, {"name": "size", "rows": [[2, 2, 2.5, 0, 1]]},
    ]  # fmt: skip
    assert page.is_right()


@pytest.mark.parametrize("width", [1, 17, 300])
def test_of_a_histogram_only_buckets_that_changed_are_told(registry: tm.Registry, width: int) -> None:
    sizes = registry.histogram("size", buckets=range(1, width + 1))
    for place in range(400):  # many enough for the text to grow while it is written
        sizes.observe(0.5, a=place)
    page = Page(registry)
    for place in range(400):
        for value in {0, place % (width + 2), width + 1}:
            sizes.observe(value, a=place)
    last = by_name(page.advance())["size"]["rows"][-1]
    buckets = sorted({0, max(0, 399 % (width + 2) - 1), width})
    assert (last[0], last[1], last[3::2]) == (399, sum(page.families["size"]["rows"][-1][3:]), buckets)
    assert page.is_right()


def test_series_and_families_come_and_go(registry: tm.Registry) -> None:
    hits = registry.counter("hits", description="Hits.")
    for place in range(3):
        hits.inc(a=place)
    page = Page(registry)
    registry.gauge("new").set(1)
    hits.with_tags(a=1).remove()
    hits.inc(a=7)
    told = by_name(page.advance())
    assert told["hits"]["series"] == [{"a": "0"}, {"a": "2"}, {"a": "7"}]
    assert told["hits"]["description"] == "Hits."
    assert [row[0] for row in told["hits"]["rows"]] == [0, 1, 2]
    assert "new" in told
    assert page.is_right()
    registry.unregister("hits")
    assert page.advance()["gone"] == ["hits"]
    assert page.is_right()
    registry.gauge("hits").set(2)  # of another kind
    assert by_name(page.advance())["hits"]["type"] == "gauge"
    assert page.is_right()


def test_series_that_expire_are_gone(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = registry.counter("hits", ttl=60)
    hits.inc(a=1)
    page = Page(registry)
    assert len(page.families["hits"]["series"]) == 1
    family = registry._families.find("hits")
    assert family is not None
    hits.with_tags(a=1).remove()
    assert by_name(page.advance())["hits"]["series"] == []
    assert page.is_right()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"buckets": [1, 2]}, {"buckets": [1, 3]}), ({"buckets": [1]}, {"exponential": True}),
        ({"description": "One."}, {"description": "Another."}), ({"unit": "bytes"}, {"unit": "seconds"}),
        ({"limits": tm.TagLimits(max_series=5)}, {"limits": tm.TagLimits(max_series=6)}),
    ],
    ids=["bounds", "buckets", "description", "unit", "limit"],
)  # fmt: skip
def test_a_metric_with_another_head_is_told_whole(registry: tm.Registry, first: Any, second: Any) -> None:
    registry.histogram("size", **first).observe(1, a=1)
    page = Page(registry)
    registry.unregister("size")
    registry.histogram("size", **second).observe(1, a=1)
    assert "series" in by_name(page.advance())["size"]
    assert page.is_right()
    assert page.advance()["families"] == []


def test_a_zero_that_changes_its_sign_has_not_changed(registry: tm.Registry) -> None:
    level = registry.gauge("level")
    level.set(0.0)
    page = Page(registry)
    level.set(-0.0)
    assert page.advance()["families"] == []


def test_several_hundred_metrics(registry: tm.Registry) -> None:
    def kinds(place: int) -> Any:
        name = f"m{place}"
        return [
            lambda: registry.counter(name).inc(a=place % 3), lambda: registry.gauge(name).set(place / 3),
            lambda: registry.histogram(name, buckets=[1, 100]).observe(place),
            lambda: registry.histogram(name, exponential=True).observe(place), lambda: registry.info(name, place=str(place)),
        ][place % 5]  # fmt: skip

    for place in range(600):
        kinds(place)()
    page = Page(registry)
    assert len(page.families) == 601
    assert page.advance()["families"] == []
    for place in range(0, 600, 7):
        kinds(place)()
    told = page.advance()
    changed = [f"m{place}" for place in range(0, 600, 7) if place % 5 not in (1, 4)]
    assert [family["name"] for family in told["families"]] == changed
    assert page.is_right()
    for place in range(0, 600, 11):
        registry.unregister(f"m{place}" if place % 5 != 4 else f"m{place}_info")
    registry.gauge("new").set(1)
    told = page.advance()
    assert len(told["gone"]) == len(range(0, 600, 11))
    assert [family["name"] for family in told["families"]] == ["new", "tallymark_series"]
    assert page.is_right()


def calls_of_a_reading(families: int) -> int:
    """Return how many functions a reading calls where all series of some metrics changed."""
    registry = tm.Registry(engine="native")
    counters = [registry.counter(f"c{place}") for place in range(families // 2)]
    sizes = [registry.histogram(f"h{place}") for place in range(families // 2)]
    documents = Documents(registry)
    calls = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    for is_last in (False, False, True):
        for counter, size in zip(counters, sizes, strict=True):
            counter.inc()
            size.observe(1)
        sys.setprofile(note if is_last else None)
        documents.read(registry, 1.0)
        sys.setprofile(None)
    return calls


def test_a_reading_calls_few_functions_for_each_metric() -> None:
    pytest.importorskip("tallymark.engine.native")
    few, many = calls_of_a_reading(10), calls_of_a_reading(110)
    assert many - few <= MOST_CALLS * 100


def test_a_series_that_is_removed_and_made_anew_is_told(registry: tm.Registry) -> None:
    hits = registry.counter("hits")
    hits.inc(5, a=1)
    page = Page(registry)
    hits.with_tags(a=1).remove()
    hits.inc(a=1)
    page.advance()
    assert page.families["hits"]["rows"] == [[0, 1.0]]


class Machine(RuleBasedStateMachine):
    """Any sequence of what users do: a page that is told what changed knows what one knows that is told everything."""

    engine = "reference"

    def __init__(self) -> None:
        super().__init__()
        self.registry = tm.Registry(engine=self.engine)  # type: ignore[arg-type]
        self.page = Page(self.registry)

    @rule(name=st.sampled_from("ab"), amount=st.integers(0, 3), tag=st.sampled_from("xyz"))
    def count(self, name: str, amount: int, tag: str) -> None:
        self.registry.counter(f"c.{name}").inc(amount, tag=tag)

    @rule(name=st.sampled_from("ab"), value=st.sampled_from([1.0, -2.5, math.nan, math.inf]), tag=st.sampled_from("xyz"))
    def set(self, name: str, value: float, tag: str) -> None:
        self.registry.gauge(f"g.{name}").set(value, tag=tag)

    @rule(exponential=st.booleans(), value=st.floats(-10, 10), tag=st.sampled_from("xyz"))
    def observe(self, exponential: bool, value: float, tag: str) -> None:
        kind: Any = {"exponential": True} if exponential else {"buckets": [0.1, 1, 5]}
        self.registry.histogram(f"h.{exponential}", **kind).observe(value, tag=tag)

    @rule(name=st.sampled_from(["c.a", "g.b", "h.True", "h.False"]), tag=st.sampled_from("xyz"))
    def remove(self, name: str, tag: str) -> None:
        family = self.registry._families.find(name)
        if family is not None:
            for series in family.root.series():
                if series.tags.get("tag") == tag:
                    series.remove()

    @rule(name=st.sampled_from(["c.a", "g.b", "h.True", "h.False"]))
    def unregister(self, name: str) -> None:
        self.registry.unregister(name)

    @invariant()
    def is_right(self) -> None:
        self.page.advance()
        assert self.page.is_right()


def test_changes_add_up_to_everything(engine: Any) -> None:
    machine = type("Machine", (Machine,), {"engine": engine.name})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=25))  # type: ignore[no-untyped-call]


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.floats(allow_nan=True, allow_infinity=True)), max_size=20),
    st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 1e9)), max_size=20),
)
def test_both_engines_tell_the_same(levels: list[tuple[str, float]], sizes: list[tuple[str, float]]) -> None:
    told = []
    for engine in ("native", "reference"):
        registry = tm.Registry(engine=engine)  # type: ignore[arg-type]
        documents = Documents(registry, most=8)
        texts = []
        for half in (0, 1):
            for tag, value in levels[half::2]:
                registry.gauge("level").set(value, a=tag)
            for tag, value in sizes[half::2]:
                registry.histogram("size", buckets=[0.5, 3, 1e6]).observe(value, a=tag)
            texts.append(documents.read(registry, 1.0).partition(b'"families"')[2])
        told.append([*texts, documents.whole().partition(b'"families"')[2]])
    assert told[0] == told[1]


# Very many


def test_of_the_largest_families_series_are_left_out(registry: tm.Registry) -> None:
    limits = tm.TagLimits(max_series=1000)
    for place in range(500):
        registry.counter("large", limits=limits).inc(a=place)
        registry.histogram("wide", limits=limits, buckets=[1, 2]).observe(place % 4, a=place)
        registry.gauge("level", limits=limits).set(place, a=place)
    for place in range(5):
        registry.counter("small").inc(a=place)
    documents = Documents(registry, most=200)
    read(documents, registry)
    told = by_name(whole(documents))
    assert sum(len(family["series"]) for family in told.values()) <= 200
    assert len(told["small"]["series"]) == 5
    assert "cut" not in told["small"]
    large = told["large"]
    assert (large["cut"], large["count"], large["total"], len(large["series"])) == (True, 500, [500.0], 32)
    assert large["rows"] == [[place, 1.0] for place in range(32)]
    assert (told["wide"]["count"], told["wide"]["total"]) == (500, [500, 750.0, 250, 125, 125])
    assert (told["level"]["cut"], told["level"]["total"]) == (True, None)  # levels do not add up
    registry.counter("large", limits=limits).inc(a=499)  # which is not shown
    assert by_name(read(documents, registry)) == {"large": {"name": "large", "count": 500, "total": [501.0], "rows": []}}
    registry.counter("large", limits=limits).inc(a=600)
    assert by_name(read(documents, registry))["large"] == {"name": "large", "count": 501, "total": [502.0], "rows": []}


def test_a_total_is_added_one_row_after_the_other(registry: tm.Registry) -> None:
    """So engines and versions of Python tell the same: `sum` of some rows first, or without a loss, rounds otherwise."""
    limits = tm.TagLimits(max_series=5000)
    for place in range(5000):
        registry.counter("hits", limits=limits).inc(0.1, a=place)
        registry.histogram("size", limits=limits, buckets=[1]).observe(0.1, a=place)
    total = 0.0
    for _ in range(5000):
        total += 0.1
    told = by_name(first(registry, most=8))
    assert told["hits"]["total"] == [total]
    assert told["size"]["total"] == [5000, total, 5000, 0]


def test_of_very_many_families_some_are_left_out(registry: tm.Registry) -> None:
    for place in range(20):
        registry.counter(f"c{place}").inc()
    told = first(registry, most=10)
    assert told["cut"] is True
    assert len(told["families"]) == 10
    assert "cut" not in first(registry, most=100)


def test_series_with_very_many_buckets_count_more(registry: tm.Registry) -> None:
    for place in range(100):
        registry.histogram("wide", buckets=list(range(128))).observe(1, a=place)
    told = by_name(first(registry, most=100))["wide"]
    assert (told["cut"], told["count"], len(told["series"])) == (True, 100, 16)


def test_no_reading_holds_more_than_one_document_can_tell(registry: tm.Registry) -> None:
    assert documents_module.MOST_SERIES == 5000
    counter = registry.counter("large", limits=tm.TagLimits(max_series=20_000))
    for place in range(12_000):
        counter.inc(a=place)
    told = by_name(first(registry))["large"]
    assert (told["count"], len(told["series"])) == (12_000, 4096)


# What fails


def test_a_collector_that_fails_loses_only_its_own(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    class Collector:
        fails = False

        def collect(self) -> list[tm.FamilySnapshot]:
            if self.fails:
                raise OSError("gone")
            return [tm.family("gauge", "theirs", [({}, 1)])]

    collector = Collector()
    registry.register(collector)
    hits = registry.counter("hits")
    page = Page(registry)
    collector.fails = True
    hits.inc()
    with caplog.at_level(logging.ERROR):
        told = page.advance()
    assert told["gone"] == ["theirs"]
    assert by_name(told)["hits"]["rows"] == [[0, 1.0]]
    collector.fails = False
    assert "theirs" in by_name(page.advance())
    assert page.is_right()


def test_a_number_that_is_not_equal_to_itself_has_not_changed(registry: tm.Registry) -> None:
    class Collector:
        def collect(self) -> list[tm.FamilySnapshot]:
            return [tm.family("gauge", "theirs", [({}, float("nan"))])]

    registry.register(Collector())
    page = Page(registry)
    assert page.families["theirs"]["rows"] == [[0, None]]
    assert page.advance()["families"] == []


def test_what_was_forgotten_is_told_anew(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    documents = Documents(registry)
    read(documents, registry)
    documents.forget()
    assert "series" in by_name(read(documents, registry))["hits"]


def test_an_empty_registry() -> None:
    assert first(tm.NullRegistry())["families"] == []
