"""Info and state: facts as tags, and which one of a fixed set of states holds."""

from __future__ import annotations

from typing import Any

import pytest

import tallymark as tm


def values(registry: tm.Registry, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(one.tags.items()): one.value for one in registry.snapshot()[name]}


def test_info_is_a_gauge_of_value_1_whose_tags_are_the_facts(registry: tm.Registry) -> None:
    info = registry.info("service", version="1.2", name="orders")
    assert (info.name, info.kind, info.value) == ("service_info", "gauge", 1.0)
    assert values(registry, "service_info") == {(("name", "orders"), ("version", "1.2")): 1.0}
    assert b'service_info{name="orders",version="1.2"} 1.0\n' in tm.render_prometheus(registry.snapshot())


def test_a_second_info_replaces_the_first(registry: tm.Registry) -> None:
    registry.info("service", version="1.2")
    registry.info("service", {"version": "1.3"})
    registry.info("service", {"version": "1.3"})
    assert values(registry, "service_info") == {(("version", "1.3"),): 1.0}


def test_where_one_series_is_allowed_a_second_info_replaces_the_first_too(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=1))
    for version in ("1", "2", "3"):
        registry.info("service", version=version)
        assert values(registry, "service_info") == {(("version", version),): 1.0}
    assert tm.TagLimits().max_series > 2
    assert "tallymark_rejected" not in registry.snapshot()


def test_info_without_a_name_raises(registry: tm.Registry) -> None:
    with pytest.raises(TypeError, match="name must be a str, not int"):
        registry.info(5)  # type: ignore[arg-type]


def test_info_of_a_name_that_is_taken_raises(registry: tm.Registry) -> None:
    registry.counter("service_info")
    with pytest.raises(tm.MetricConflictError, match="service_info"):
        registry.info("service", version="1")


def test_one_state_is_1_and_the_others_are_0(registry: tm.Registry) -> None:
    state = registry.state("worker", ["starting", "running", "stopped"], tags={"worker": "a"})
    assert state.states == ("starting", "running", "stopped")
    assert state.value is None
    assert set(values(registry, "worker").values()) == {0.0}
    state.set("starting")
    state.set("running")
    assert state.value == "running"
    assert values(registry, "worker") == {
        (("state", "starting"), ("worker", "a")): 0.0,
        (("state", "running"), ("worker", "a")): 1.0,
        (("state", "stopped"), ("worker", "a")): 0.0,
    }
    assert registry.state("worker", ["starting", "running", "stopped"], tags={"worker": "a"}).value == "running"


def test_a_state_beyond_the_limit_of_series_knows_what_it_was_set_to(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_series=3))
    first, second, third = (registry.state("worker", ["idle", "busy"], tags={"worker": one}) for one in "abc")
    for worker in (first, second, third):  # the second has a series for one of its states, and the third has none
        assert worker.value is None
        for state in ("idle", "busy", "idle"):
            worker.set(state)
            assert worker.value == state
    first.set("busy")
    third.set("busy")
    assert (first.value, second.value, third.value) == ("busy", "idle", "busy")
    registry.unregister("worker")
    assert first.value is None


def test_states_that_become_one_raise(registry: tm.Registry) -> None:
    with pytest.raises(ValueError, match="state 'worker': some of its states become one"):
        registry.state("worker", ["a" * 200 + "1", "a" * 200 + "2"])


def test_a_state_that_is_not_there_raises_and_changes_nothing(registry: tm.Registry) -> None:
    state = registry.state("worker", ["running", "stopped"])
    state.set("running")
    with pytest.raises(ValueError, match="'paused'"):
        state.set("paused")
    assert state.value == "running"


@pytest.mark.parametrize(("states", "error"), [([], ValueError), (["a", "a"], ValueError), ("ab", TypeError), ([1], TypeError)])
def test_states_are_texts_each_named_once(registry: tm.Registry, states: list[str], error: type[Exception]) -> None:
    with pytest.raises(error, match="worker"):
        registry.state("worker", states)


def test_a_null_registry_takes_them_too() -> None:
    registry = tm.NullRegistry()
    registry.info("service", version="1")
    state = registry.state("worker", ["a", "b"])
    state.set("a")
    assert list(registry.snapshot()) == []


def test_facts_that_were_removed_are_not_there(registry: tm.Registry) -> None:
    registry.info("service", version="1.2").remove()
    state = registry.state("worker", ["a"])
    registry.gauge("other").set(1)
    for series in state._series.values():
        series.remove()
    assert [family.name for family in registry.snapshot().families] == ["other", "tallymark_series"]


def test_a_snapshot_tells_facts_and_states_from_gauges(registry: tm.Registry) -> None:
    registry.info("service", version="1.2")
    registry.state("worker", ["a", "b"]).set("b")
    snapshot = registry.snapshot()
    assert (snapshot["service_info"].kind, type(snapshot["service_info"].data)) == ("info", tm.InfoData)
    assert (snapshot["worker"].kind, type(snapshot["worker"].data)) == ("stateset", tm.StateSetData)
    with pytest.raises(tm.MetricConflictError, match="'info'"):
        registry.gauge("service_info")
