"""`Registry`: get or create, and what is exported."""

from __future__ import annotations

from typing import Any
from urllib.request import urlopen

import pytest

import tallymark as tm

KINDS = {"counter": "inc", "gauge": "inc", "histogram": "observe", "timer": "record"}


def exported(registry: tm.Registry, name: str = "n") -> list[dict[str, str]]:
    return [dict(series.tags) for series in registry.snapshot()[name]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def make(registry: tm.Registry, kind: str) -> Any:
    return getattr(registry, kind)


def test_the_same_name_and_shape_give_the_same_object(make: Any) -> None:
    assert make("n") is make("n")
    assert make("n", tags={"a": "1"}) is make("n").with_tags(a="1")
    assert make("n", tags={}) is make("n")


def test_another_kind_is_a_conflict_that_names_the_metric_and_both_kinds(registry: tm.Registry, kind: str, make: Any) -> None:
    make("n")
    for other in KINDS.keys() - {kind}:
        with pytest.raises(tm.MetricConflictError, match=rf"'n'.*'{kind}'.*'{other}'"):
            getattr(registry, other)("n")
    assert issubclass(tm.MetricConflictError, ValueError)


@pytest.mark.parametrize("kind", ["counter", "gauge", "histogram"])
def test_another_unit_is_a_conflict_but_an_omitted_one_matches_any(registry: tm.Registry, kind: str) -> None:
    make = getattr(registry, kind)
    instrument = make("n", unit="bytes")
    assert make("n") is instrument
    assert make("n", unit="bytes") is instrument
    with pytest.raises(tm.MetricConflictError, match=r"'n'.*'bytes'.*'rows'"):
        make("n", unit="rows")


@pytest.mark.parametrize("kind", ["histogram", "timer"])
def test_other_bounds_are_a_conflict_but_omitted_bounds_match_any(registry: tm.Registry, kind: str) -> None:
    make = getattr(registry, kind)
    instrument = make("n", buckets=[1, 2])
    assert make("n") is instrument
    assert make("n", buckets=(1.0, 2.0)) is instrument
    with pytest.raises(tm.MetricConflictError, match=r"'n'.*\(1.0, 2.0\).*\(1.0, 3.0\)"):
        make("n", buckets=[1, 3])


def test_a_conflict_changes_nothing(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    with pytest.raises(tm.MetricConflictError):
        registry.gauge("n", description="Another.")
    assert registry.counter("n") is counter
    assert counter.description == ""


def test_the_first_description_that_is_not_empty_stays(make: Any) -> None:
    instrument = make("n")
    assert instrument.description == ""
    make("n", description="First.")
    make("n", description="Second.")
    make("n")
    assert instrument.description == "First."
    assert instrument.with_tags(a="1").description == "First."


@pytest.mark.parametrize("name", ["n", "_n", ":n", "http.requests", "a-b", "a/b", "a:b", "A1", "n" * 255])
def test_a_good_name_is_kept_as_it_was_given(make: Any, name: str) -> None:
    assert make(name).name == name


@pytest.mark.parametrize("name", ["", "1n", "a b", "é", "n\n", ".n", "-n", "a=b", "n" * 256, "n\udc80"], ids=ascii)
def test_a_bad_name_is_a_value_error(make: Any, name: str) -> None:
    with pytest.raises(ValueError, match="metric name"):
        make(name)


def test_names_of_the_registry_itself_are_not_free(make: Any) -> None:
    with pytest.raises(ValueError, match="tallymark_series"):
        make("tallymark_series")


@pytest.mark.parametrize("wrong", [{"name": 5}, {"name": None}, {"name": b"n"}, {"description": None}, {"tags": 5}], ids=repr)
def test_a_wrong_type_is_a_type_error(make: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        make(**{"name": "n", **wrong})


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_a_ttl_is_positive(make: Any, ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl"):
        make("n", ttl=ttl)


def test_options_are_keyword_only(make: Any) -> None:
    with pytest.raises(TypeError):
        make("n", "description")


@pytest.mark.parametrize("buckets", [[], [2, 1], [1, 1], [float("nan")], [float("inf")], [float("-inf"), 1]])
def test_a_bad_bucket_list_is_a_value_error_that_names_the_metric(registry: tm.Registry, buckets: list[float]) -> None:
    for make in (registry.histogram, registry.timer):
        with pytest.raises(ValueError, match="'n'"):
            make("n", buckets=buckets)


@pytest.mark.parametrize("buckets", ["123", 5, [None], ["1"], [1j]])
def test_buckets_of_a_wrong_type_are_a_type_error(registry: tm.Registry, buckets: Any) -> None:
    with pytest.raises(TypeError, match="'n'"):
        registry.histogram("n", buckets=buckets)


def test_the_root_appears_until_its_family_has_a_series(make: Any, registry: tm.Registry) -> None:
    root = make("n")
    assert exported(registry) == [{}]
    bound = root.with_tags(a="1")
    assert exported(registry) == [{"a": "1"}]
    bound.remove()
    assert exported(registry) == []  # a 0 would be a value that nothing had


def test_the_root_appears_once_it_was_recorded_to(make: Any, registry: tm.Registry, kind: str) -> None:
    root = make("n")
    root.with_tags(a="1")
    getattr(root, KINDS[kind])(1)
    assert sorted(map(str, exported(registry))) == ["{'a': '1'}", "{}"]


def test_a_series_that_was_named_is_exported_at_zero(make: Any, registry: tm.Registry) -> None:
    make("n", tags={"a": "1"})
    make("n").with_tags(b="2")
    assert exported(registry) == [{"a": "1"}, {"b": "2"}]


def test_a_family_is_exported_with_its_shape(registry: tm.Registry) -> None:
    registry.histogram("size", description="Sizes.", unit="bytes", buckets=[1, 2])
    family = registry.snapshot()["size"]
    assert (family.name, family.kind, family.description, family.unit) == ("size", "histogram", "Sizes.", "bytes")
    assert family.bounds == (1.0, 2.0)


def test_families_come_in_the_order_of_their_creation(registry: tm.Registry) -> None:
    for name in ("b", "c", "a"):
        registry.counter(name).inc()
    assert [one.name for one in registry.snapshot().families if not one.name.startswith("tallymark_")] == ["b", "c", "a"]


def test_an_empty_registry_has_an_empty_snapshot(registry: tm.Registry) -> None:
    assert list(registry.snapshot()) == []


def test_a_snapshot_does_not_change_afterwards(registry: tm.Registry, kind: str, make: Any) -> None:
    bound = make("n").with_tags(a="1")
    getattr(bound, KINDS[kind])(1)
    snapshot = registry.snapshot()
    before = repr(snapshot)
    getattr(bound, KINDS[kind])(1)
    bound.with_tags(b="2")
    bound.remove()
    registry.unregister("n")
    assert repr(snapshot) == before
    with pytest.raises(AttributeError):
        snapshot.families = ()  # type: ignore[misc]


def test_tags_of_the_registry_are_on_all_its_series(engine: Any, kind: str) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h", "n": 1})
    root = getattr(registry, kind)("n")
    getattr(root, KINDS[kind])(1)
    getattr(root, KINDS[kind])(1, a="1")
    assert exported(registry) == [{"host": "h", "n": "1"}, {"a": "1", "host": "h", "n": "1"}]
    assert root.tags == {"host": "h", "n": "1"}


def test_tags_win_over_those_of_the_registry(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h"})
    assert registry.counter("n").with_tags(host="x").tags == {"host": "x"}


def test_registries_share_nothing(engine: Any) -> None:
    one, two = tm.Registry(engine=engine.name), tm.Registry(engine=engine.name)
    one.counter("n").inc()
    two.gauge("n").set(5)
    assert one.counter("n").value == 1
    assert two.gauge("n").value == 5


def test_an_unknown_engine_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="'steam'"):
        tm.Registry(engine="steam")


# Without reports on itself


def test_a_registry_may_keep_quiet_about_itself(engine: Any) -> None:
    quiet = tm.Registry(engine=engine.name, self_metrics=False)
    assert list(quiet.snapshot()) == []
    quiet.counter("n").inc(a="1")
    assert [family.name for family in quiet.snapshot().families] == ["n"]
    quiet.counter("n").inc(-1)
    assert [family.name for family in quiet.snapshot().families] == ["n", "tallymark_rejected"]
    with pytest.raises(ValueError, match="not free"):
        quiet.gauge("tallymark_series")


# Taking out


def test_a_metric_is_unregistered_by_any_of_its_instruments(make: Any, registry: tm.Registry) -> None:
    root = make("n")
    assert registry.unregister(root) is True
    assert registry.unregister(root) is False
    bound = root.with_tags(a="1")  # which brings it back
    assert registry.unregister(bound) is True
    assert "n" not in registry.snapshot()
    assert root.series() == []


def test_an_instrument_of_another_registry_takes_nothing_out(make: Any, registry: tm.Registry, kind: str) -> None:
    make("n")
    for engine in ("native", "reference"):
        assert registry.unregister(getattr(tm.Registry(engine=engine), kind)("n")) is False
    assert registry.unregister(tm.NullRegistry().counter("n")) is False
    assert "n" in registry.snapshot()


def test_an_instrument_whose_name_has_gone_to_another_takes_nothing_out(registry: tm.Registry) -> None:
    old = registry.counter("n")
    registry.unregister("n")
    registry.gauge("n").set(5)
    assert registry.unregister(old) is False
    assert [one.value for one in registry.snapshot()["n"]] == [5]


@pytest.mark.parametrize("what", ["m", "", None, 5, 0.5], ids=repr)
def test_what_is_not_there_takes_nothing_out(registry: tm.Registry, what: Any) -> None:
    registry.counter("n").inc()
    assert registry.unregister(what) is False
    assert "n" in registry.snapshot()


def test_a_metric_that_is_taken_out_by_an_instrument_is_not_called_back(registry: tm.Registry) -> None:
    calls = []
    gauge = registry.gauge("n", callback=lambda: calls.append(1) or 1.0)
    registry.snapshot()
    registry.unregister(gauge)
    registry.snapshot()
    assert calls == [1]


# All of it, as a newcomer would


def test_the_first_example_works(engine: Any) -> None:
    with tm.use(tm.Registry(engine=engine.name)) as registry:
        requests = tm.counter("http_requests", description="Requests served.", tag_keys=("method", "status"))
        requests.inc(method="GET", status="200")
        requests.inc(2, method="GET", status="200", exemplar={"trace_id": "4bf92f35"})
        ok = requests.with_tags("GET", "200")
        ok.inc()
        busy, latency = tm.gauge("busy"), tm.timer("request_duration")

        @latency.time(route="/")
        @busy.track_in_progress()
        @requests.count_exceptions(ValueError, method="GET", status="500")
        def handler(fails: bool) -> float:
            if fails:
                raise ValueError
            return busy.value

        assert handler(False) == 1
        with pytest.raises(ValueError):
            handler(True)
        assert [(one.tags["status"], one.value) for one in requests.series()] == [("200", 4), ("500", 1)]
        with tm.serve(port=0, registry=registry) as server, urlopen(server.url, timeout=30) as response:
            text = response.read().decode()
    assert 'http_requests_total{method="GET",status="200"} 4.0\n' in text
    assert "busy 0.0\n" in text
    assert 'request_duration_seconds_count{route="/"} 2\n' in text
