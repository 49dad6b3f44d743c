"""The names of metrics in Prometheus: no two are alike, and none changes while the process runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from tallymark.metric import names as names_module
from tallymark.metric.names import ExpositionNames, exposition_name


def names(registry: tm.Registry) -> dict[str, str]:
    """Read a registry, and return the name that each metric has in Prometheus."""
    families = registry.snapshot().families
    return {family.name: family.exposition_name for family in families if not family.name.startswith("tallymark_")}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what was logged up to now."""
    caplog.set_level(logging.WARNING, logger="tallymark")

    return lambda: [record.getMessage() for record in caplog.records]


def clash(one: str, other: str, name: str, *, keeps: str, number: str) -> str:
    both = f"{one} and {other} have one name in Prometheus, {name!r}"
    return f"{both}: {keeps!r} keeps it, and {number!r} gets a number; rename one of them"


@pytest.mark.parametrize(
    ("name", "kind", "unit", "expected"),
    [
        ("requests", "counter", "", "requests_total"),
        ("requests_total", "counter", "", "requests_total"),
        ("sent", "counter", "bytes", "sent_bytes_total"),
        ("sent_bytes_total", "counter", "bytes", "sent_bytes_total"),
        ("_total", "counter", "", "_total_total"),
        ("depth", "gauge", "", "depth"),
        ("depth_total", "gauge", "", "depth_total"),
        ("took", "timer", "seconds", "took_seconds"),
        ("took_seconds", "timer", "seconds", "took_seconds"),
        ("seconds", "timer", "seconds", "seconds"),
        ("http.server/time", "histogram", "s", "http_server_time_s"),
        ("a:b", "gauge", "", "a:b"),
        ("a-b", "gauge", "req/s", "a_b_req_s"),
        ("a", "gauge", "{requests}", "a"),
        ("a", "gauge", "%", "a"),
        ("build", "info", "", "build_info"),
        ("build_info", "info", "", "build_info"),
    ],
)  # fmt: skip
def test_a_name_says_unit_and_kind_as_prometheus_would(name: str, kind: str, unit: str, expected: str) -> None:
    assert exposition_name(name, kind, unit) == expected


# Who keeps a name


@pytest.mark.parametrize("first", ["a.b", "a_b"])
def test_an_exact_name_wins_before_the_first_reading_whatever_the_order(
    registry: tm.Registry, logged: Callable[[], list[str]], first: str
) -> None:
    second = "a_b" if first == "a.b" else "a.b"
    registry.gauge(first)
    registry.gauge(second)
    assert names(registry) == {"a_b": "a_b", "a.b": "a_b_2"}
    assert logged() == [clash(f"gauge {first!r}", f"gauge {second!r}", "a_b", keeps="a_b", number="a.b")]


def test_of_names_that_are_not_exact_the_older_wins(registry: tm.Registry, logged: Callable[[], list[str]]) -> None:
    for name in ("a.b", "a/b", "a-b"):
        registry.gauge(name)
    assert names(registry) == {"a.b": "a_b", "a/b": "a_b_2", "a-b": "a_b_3"}
    assert logged() == [
        clash("gauge 'a.b'", "gauge 'a/b'", "a_b", keeps="a.b", number="a/b"),
        clash("gauge 'a.b'", "gauge 'a-b'", "a_b", keeps="a.b", number="a-b"),
    ]


def test_the_log_tells_of_the_one_that_has_the_name_by_then(registry: tm.Registry, logged: Callable[[], list[str]]) -> None:
    for name in ("a.b", "a_b", "a/b"):
        registry.gauge(name)
    assert names(registry) == {"a.b": "a_b_2", "a_b": "a_b", "a/b": "a_b_3"}
    assert logged() == [
        clash("gauge 'a.b'", "gauge 'a_b'", "a_b", keeps="a_b", number="a.b"),
        clash("gauge 'a_b'", "gauge 'a/b'", "a_b", keeps="a_b", number="a/b"),
    ]


@pytest.mark.parametrize("between", [False, True], ids=["read once", "read between"])
def test_samples_of_distributions_are_names_too(registry: tm.Registry, logged: Callable[[], list[str]], between: bool) -> None:
    registry.gauge("a_sum")
    if between:
        names(registry)
    registry.histogram("a")
    registry.gauge("a_count")  # which the histogram does not have, as it gets a number
    assert names(registry) == {"a_sum": "a_sum", "a": "a_2", "a_count": "a_count"}
    assert logged() == [clash("gauge 'a_sum'", "histogram 'a'", "a_sum", keeps="a_sum", number="a")]


def test_one_that_lost_its_name_has_no_claim_on_the_names_of_its_samples(
    registry: tm.Registry, logged: Callable[[], list[str]]
) -> None:
    registry.histogram("a.b")
    registry.gauge("a_b")
    registry.gauge("a/b.sum")
    assert names(registry) == {"a.b": "a_b_2", "a_b": "a_b", "a/b.sum": "a_b_sum"}
    assert logged() == [clash("histogram 'a.b'", "gauge 'a_b'", "a_b", keeps="a_b", number="a.b")]


def test_a_numbered_name_is_free_in_all_its_samples(registry: tm.Registry) -> None:
    registry.histogram("a.b")
    registry.gauge("a_b_2_bucket")
    registry.histogram("a/b")
    assert names(registry) == {"a.b": "a_b", "a_b_2_bucket": "a_b_2_bucket", "a/b": "a_b_3"}


def test_a_counter_gets_its_number_before_the_suffix(registry: tm.Registry) -> None:
    registry.counter("a.b")
    registry.counter("a/b_total")
    registry.gauge("a_b_total")
    assert names(registry) == {"a_b_total": "a_b_total", "a.b": "a_b_2_total", "a/b_total": "a_b_3_total"}


# And from then on


def test_a_name_that_was_read_is_kept_whoever_comes(registry: tm.Registry, logged: Callable[[], list[str]]) -> None:
    registry.gauge("a.b")
    assert names(registry) == {"a.b": "a_b"}
    registry.gauge("a_b")
    assert names(registry) == {"a.b": "a_b", "a_b": "a_b_2"}
    assert logged() == [clash("gauge 'a.b'", "gauge 'a_b'", "a_b", keeps="a.b", number="a_b")]


def test_a_name_that_was_read_is_kept_whoever_goes(registry: tm.Registry) -> None:
    for name in ("a.b", "a/b"):
        registry.gauge(name).set(1)
    assert names(registry)["a/b"] == "a_b_2"
    registry.unregister("a.b")
    assert names(registry) == {"a/b": "a_b_2"}
    registry.gauge("a-b")
    assert names(registry) == {"a/b": "a_b_2", "a-b": "a_b_3"}
    registry.gauge("a.b")
    assert names(registry) == {"a/b": "a_b_2", "a-b": "a_b_3", "a.b": "a_b"}


def test_a_metric_that_is_absent_from_a_reading_renames_nobody(registry: tm.Registry, logged: Callable[[], list[str]]) -> None:
    fails = [True]

    def callback() -> float:
        if fails[0]:
            raise RuntimeError("no")
        return 1.0

    registry.gauge("a_b", callback=callback)
    registry.gauge("a.b")
    assert names(registry) == {"a.b": "a_b_2"}  # as the log says, though nobody else is here
    fails[0] = False
    assert names(registry) == {"a_b": "a_b", "a.b": "a_b_2"}
    fails[0] = True
    assert names(registry) == {"a.b": "a_b_2"}
    assert logged() == [
        clash("gauge 'a_b'", "gauge 'a.b'", "a_b", keeps="a_b", number="a.b"),
        "metric 'a_b': its callback failed: RuntimeError('no'). Further cases are only counted,"
        " in tallymark_rejected{metric='a_b',reason='callback'}",
    ]


def test_a_metric_that_was_unregistered_unread_leaves_its_name_to_the_next_of_that_name(registry: tm.Registry) -> None:
    registry.histogram("n")
    registry.unregister("n")
    registry.gauge("n").set(1)
    assert names(registry) == {"n": "n"}


def test_a_metric_of_another_kind_does_not_get_the_name_that_was_read(
    registry: tm.Registry, logged: Callable[[], list[str]]
) -> None:
    registry.histogram("n").observe(1)
    names(registry)
    registry.unregister("n")
    registry.gauge("n").set(1)
    assert names(registry) == {"n": "n_2"}
    assert logged() == [clash("histogram 'n'", "gauge 'n'", "n", keeps="n", number="n")]


def test_a_clash_is_logged_once_however_often_the_metric_is_asked_for(
    registry: tm.Registry, logged: Callable[[], list[str]]
) -> None:
    registry.gauge("a.b")
    for _ in range(3):
        registry.gauge("a_b").set(1)
        registry.unregister("a_b")
    names(registry)
    registry.gauge("a_b")
    names(registry)
    assert logged() == [clash("gauge 'a.b'", "gauge 'a_b'", "a_b", keeps="a_b", number="a.b")]


def test_metrics_that_share_no_name_log_nothing(registry: tm.Registry, logged: Callable[[], list[str]]) -> None:
    registry.counter("a")
    registry.gauge("a_b")
    registry.timer("b")
    registry.info("a")
    registry.state("state", ["x"])
    registry.counter("a")
    names(registry)
    assert logged() == []


def test_families_of_collectors_have_names_of_their_own(registry: tm.Registry) -> None:
    class Collector:
        def collect(self) -> list[tm.FamilySnapshot]:
            return [tm.family("gauge", "a/b", [({}, 1.0)]), tm.family("gauge", "a_b", [({}, 1.0)])]

    registry.gauge("a.b")
    registry.register(Collector())
    assert names(registry) == {"a.b": "a_b_2", "a/b": "a_b_3", "a_b": "a_b"}
    registry.gauge("a-b")
    assert names(registry) == {"a.b": "a_b_2", "a-b": "a_b_4", "a/b": "a_b_3", "a_b": "a_b"}


def test_a_family_of_a_collector_that_gets_a_number_is_logged_once(
    registry: tm.Registry, logged: Callable[[], list[str]]
) -> None:
    class Collector:
        def collect(self) -> list[tm.FamilySnapshot]:
            return [tm.family("gauge", "a/b", [({}, 1.0)])]

    registry.gauge("a.b").set(1)
    registry.register(Collector())
    for _ in range(2):
        assert names(registry) == {"a.b": "a_b", "a/b": "a_b_2"}
    assert logged() == [clash("gauge 'a.b'", "gauge 'a/b'", "a_b", keeps="a.b", number="a/b")]


def test_a_registrys_own_metrics_keep_their_names_from_the_start(
    registry: tm.Registry, logged: Callable[[], list[str]]
) -> None:
    def given() -> dict[str, str]:
        return {family.name: family.exposition_name for family in registry.snapshot().families}

    registry.counter("tallymark.rejected").inc()
    registry.gauge("tallymark.series").set(1)
    assert logged() == [
        clash(f"{kind} {own!r}", f"{kind} {name!r}", one, keeps=own, number=name)
        for kind, own, name, one in (
            ("counter", "tallymark_rejected", "tallymark.rejected", "tallymark_rejected_total"),
            ("gauge", "tallymark_series", "tallymark.series", "tallymark_series"),
        )
    ]
    users = {"tallymark.rejected": "tallymark_rejected_2_total", "tallymark.series": "tallymark_series_2"}
    assert given() == {**users, "tallymark_series": "tallymark_series"}
    registry.counter("tallymark.rejected").inc(-1)
    own = {"tallymark_rejected": "tallymark_rejected_total", "tallymark_series": "tallymark_series"}
    assert given() == {**users, **own}


def test_registries_give_names_each_for_itself(engine: Any) -> None:
    one, other = (tm.Registry(engine=engine.name) for _ in range(2))
    one.gauge("a.b")
    names(one)
    other.gauge("a/b")
    assert names(other) == {"a/b": "a_b"}


def test_many_metrics_of_one_name_do_not_each_look_at_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [0]
    original = names_module.samples_of

    def counted(name: str, kind: str) -> Any:
        calls[0] += 1
        return original(name, kind)

    monkeypatch.setattr(names_module, "samples_of", counted)
    registry = tm.Registry()
    logger = logging.getLogger("tallymark")
    monkeypatch.setattr(logger, "disabled", True)
    spellings = [f"{i:011b}".replace("0", ".").replace("1", "/") for i in range(2000)]
    for spelling in spellings:
        registry.counter(f"a{spelling}b")
    found = names(registry)
    assert len(set(found.values())) == 2000
    assert calls[0] < 5 * 2000
    calls[0] = 0
    names(registry)
    assert calls[0] == 0


# Snapshots that were made by hand


def by_hand(*families: tm.FamilySnapshot) -> list[str]:
    text = tm.render_prometheus(tm.Snapshot(families, 0.0)).decode()
    return [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]


def test_an_exporter_names_what_no_registry_named() -> None:
    one, other, exact = (tm.family("gauge", name, [({}, 1.0)]) for name in ("a.b", "a/b", "a_b"))
    assert one.exposition_name == ""
    assert by_hand(one, other) == ["a_b", "a_b_2"]
    assert by_hand(one, other, exact) == ["a_b_2", "a_b_3", "a_b"]
    assert by_hand(one, other) == ["a_b", "a_b_2"]  # each snapshot by itself


def test_a_registry_that_was_read_before_tells_an_exporter_its_names(registry: tm.Registry) -> None:
    registry.gauge("a.b")
    names(registry)
    registry.gauge("a_b")
    snapshot = registry.snapshot()
    assert by_hand(*snapshot.families[:2]) == ["a_b", "a_b_2"]


KINDS = ["counter", "gauge", "histogram", "timer", "summary", "info", "stateset"]
LETTERS = st.sampled_from(
    ["a", "_", ".", "2", "a_", "_sum", "_bucket", "_count", "_total", ".total", "_2", "_seconds", "bytes"]
)
NAMES = st.lists(LETTERS, min_size=1, max_size=4).map("".join).filter(lambda name: name[0] in "a_b")
KEYS = st.tuples(NAMES, st.sampled_from(KINDS), st.sampled_from(["", "seconds", "bytes", "%", "2", "total", "sum"]))


def samples_of(name: str, kind: str) -> list[str]:
    suffixes = {"histogram": ["", "_bucket", "_sum", "_count", "_created"], "summary": ["", "_sum", "_count", "_created"]}
    return [name + suffix for suffix in suffixes.get("histogram" if kind == "timer" else kind, [""])]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(KEYS, max_size=8), max_size=4), st.booleans())
def test_no_two_samples_have_one_name_and_none_ever_changes(readings: list[list[tuple[str, str, str]]], claims: bool) -> None:
    given_names = ExpositionNames()
    seen: dict[tuple[str, str, str], str] = {}
    for keys in readings:
        for key in keys if claims else ():
            given_names.claim(*key)
        given_names.give(keys)
        for key in keys:
            name = given_names.of(*key)
            assert seen.setdefault(key, name) == name
    samples = [sample for key, name in seen.items() for sample in samples_of(name, key[1])]
    assert len(set(samples)) == len(samples)
    for (_, kind, _), name in seen.items():
        assert name.isascii()
        assert name.replace(":", "_").isidentifier()
        assert name.endswith({"counter": "_total", "info": "_info"}.get(kind, ""))


@settings(max_examples=60, deadline=None)
@given(st.lists(KEYS, max_size=8, unique_by=lambda key: key[0]))
def test_what_the_log_says_comes_true(keys: list[tuple[str, str, str]]) -> None:
    claimed = ExpositionNames()
    said = {key: claimed.claim(*key) for key in keys}
    claimed.give(keys)
    last = keys[-1:]
    for key in last:  # of the last one nobody can make it untrue
        keeps = claimed.of(*key) == exposition_name(*key)
        assert keeps == (not said[key] or f"{key[0]!r} keeps it" in said[key])
    if not any(said.values()):
        assert [claimed.of(*key) for key in keys] == [exposition_name(*key) for key in keys]


@settings(max_examples=40, deadline=None)
@given(st.lists(KEYS, max_size=8, unique_by=lambda key: key[0]))
def test_a_snapshot_of_any_metrics_can_be_read_back(keys: list[tuple[str, str, str]]) -> None:
    two = tm.HistogramSnapshot((1.0,), (1, 2), 3.0, 0.5, 2.0)
    values: dict[str, Any] = {"histogram": two, "timer": two, "summary": (1, 2.0)}
    families = [tm.family(kind, name, [({"state": "a"}, values.get(kind, 1.0))], unit=unit) for name, kind, unit in keys]  # type: ignore[arg-type]
    text = tm.render_prometheus(tm.Snapshot(tuple(families), 0.0)).decode()
    samples = [
        (one.name, *sorted(one.labels.items())) for family in text_string_to_metric_families(text) for one in family.samples
    ]
    assert len(set(samples)) == len(samples)
    assert len([line for line in text.splitlines() if line.startswith("# TYPE")]) == len(keys)
