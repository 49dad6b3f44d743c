"""How series and metrics are removed, and how they come back."""

from __future__ import annotations

import gc
import time
from math import nan
from typing import Any

import pytest

import tallymark as tm

KINDS = {"counter": "inc", "gauge": "inc", "histogram": "observe", "timer": "record"}
TTL = 0.02


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def make(registry: tm.Registry, kind: str) -> Any:
    return getattr(registry, kind)


def record(instrument: Any) -> None:
    getattr(instrument, KINDS[instrument.kind])(1)
    if instrument.kind == "gauge":
        instrument.set(instrument.value)  # what inc() moved is in progress, and never expires


def recorded(instrument: Any) -> float:
    return instrument.value if hasattr(instrument, "value") else instrument.snapshot().sum


def exported(registry: tm.Registry) -> list[dict[str, str]]:
    return [dict(series.tags) for series in registry.snapshot()["n"]]


def test_a_removed_series_is_not_exported_and_reads_as_new(make: Any, registry: tm.Registry) -> None:
    one, two = make("n").with_tags(a="1"), make("n").with_tags(a="2")
    record(one)
    assert one.remove() is None
    assert exported(registry) == [{"a": "2"}]
    assert recorded(one) == 0
    assert two.tags == {"a": "2"}


def test_removing_twice_is_harmless(make: Any) -> None:
    one = make("n").with_tags(a="1")
    one.remove()
    one.remove()
    make("n").remove()


def test_a_handle_brings_its_removed_series_back_afresh(make: Any, registry: tm.Registry) -> None:
    one = make("n").with_tags(a="1")
    record(one)
    record(one)
    one.remove()
    record(one)
    assert exported(registry) == [{"a": "1"}]
    assert recorded(one) == 1


def test_a_handle_keeps_its_identity_over_removal(make: Any) -> None:
    one = make("n").with_tags(a="1")
    tags = one.tags
    one.remove()
    gc.collect()
    assert make("n").with_tags(a="1") is one
    assert one.tags is tags
    one.remove()
    record(one)
    assert make("n").with_tags(a="1") is one


def test_a_removed_series_that_nobody_holds_starts_afresh(make: Any) -> None:
    record(make("n").with_tags(a="1"))
    make("n").with_tags(a="1").remove()
    gc.collect()
    assert recorded(make("n").with_tags(a="1")) == 0


def test_a_removed_root_comes_back_when_it_is_recorded_to(make: Any, registry: tm.Registry) -> None:
    root = make("n")
    record(root)
    root.with_tags(a="1")
    root.remove()
    assert exported(registry) == [{"a": "1"}]
    record(root)
    assert {} in exported(registry)
    assert recorded(root) == 1


def test_unregister_removes_the_metric_and_returns_whether_it_was_there(make: Any, registry: tm.Registry) -> None:
    record(make("n"))
    assert registry.unregister("n") is True
    assert "n" not in registry.snapshot()
    assert registry.unregister("n") is False
    assert registry.unregister("never") is False


def test_a_handle_brings_its_unregistered_metric_back_afresh(make: Any, registry: tm.Registry) -> None:
    root = make("n", description="Kept.")
    one = root.with_tags(a="1")
    record(root)
    record(one)
    registry.unregister("n")
    record(one)
    assert exported(registry) == [{"a": "1"}]
    assert recorded(one) == 1
    assert registry.snapshot()["n"].description == "Kept."
    record(root)
    assert recorded(root) == 1
    assert make("n") is root


def test_a_handle_keeps_its_identity_over_unregistering(make: Any, registry: tm.Registry) -> None:
    root = make("n")
    one = root.with_tags(a="1")
    registry.unregister("n")
    assert make("n") is root
    assert root.with_tags(a="1") is one


def test_with_tags_on_an_unregistered_metric_names_the_series_again(make: Any, registry: tm.Registry) -> None:
    root = make("n")
    registry.unregister("n")
    root.with_tags(a="1")
    assert exported(registry) == [{"a": "1"}]


def test_the_name_of_an_unregistered_metric_is_free(registry: tm.Registry) -> None:
    old = registry.counter("n", unit="bytes")
    old.inc()
    registry.unregister("n")
    new = registry.gauge("n", unit="rows")
    new.set(5)
    old.inc()
    old.inc(a="1")
    assert registry.snapshot()["n"].kind == "gauge"
    assert [series.value for series in registry.snapshot()["n"]] == [5]
    rejected = registry.snapshot().find("tallymark_rejected", metric="n", reason="name_taken")
    assert rejected is not None
    assert rejected.value == 2


def test_a_series_that_does_not_change_expires(make: Any, registry: tm.Registry) -> None:
    one = make("n", ttl=TTL).with_tags(a="1")
    record(one)
    assert exported(registry) == [{"a": "1"}]
    time.sleep(TTL * 1.5)
    assert registry.expire() == 1
    assert exported(registry) == []
    assert recorded(one) == 0
    assert registry.expire() == 0


def test_a_snapshot_removes_what_expired(make: Any, registry: tm.Registry) -> None:
    record(make("n", ttl=TTL).with_tags(a="1"))
    registry.snapshot()
    time.sleep(TTL * 1.5)
    assert exported(registry) == []


def test_a_series_that_changes_stays(make: Any, registry: tm.Registry) -> None:
    one, two = make("n", ttl=TTL).with_tags(a="1"), make("n").with_tags(a="2")
    record(two)
    for _ in range(3):
        record(one)
        registry.expire()
        time.sleep(TTL * 1.5)
        record(one)
        registry.snapshot()
    assert exported(registry) == [{"a": "1"}]
    assert recorded(one) == 6


def test_a_change_that_was_never_read_is_read_before_the_series_goes(make: Any, registry: tm.Registry) -> None:
    one = make("n", ttl=TTL).with_tags(a="1")
    record(one)
    time.sleep(TTL * 1.5)
    assert exported(registry) == [{"a": "1"}]
    time.sleep(TTL * 1.5)
    assert exported(registry) == []


def test_a_handle_brings_its_expired_series_back_afresh(make: Any, registry: tm.Registry) -> None:
    one = make("n", ttl=TTL).with_tags(a="1")
    record(one)
    registry.expire()
    time.sleep(TTL * 1.5)
    assert registry.expire() == 1
    record(one)
    assert exported(registry) == [{"a": "1"}]
    assert recorded(one) == 1
    assert make("n").with_tags(a="1") is one
    time.sleep(TTL * 1.5)
    assert registry.expire() == 1


def test_a_gauge_that_stays_at_nan_expires(registry: tm.Registry) -> None:
    registry.gauge("n", ttl=TTL).set(nan, a="1")
    registry.expire()
    time.sleep(TTL * 1.5)
    assert registry.expire() == 1


def test_without_a_ttl_nothing_expires(make: Any, registry: tm.Registry) -> None:
    record(make("n").with_tags(a="1"))
    registry.expire()
    time.sleep(TTL)
    assert registry.expire() == 0


def test_a_series_that_comes_back_is_created_again(make: Any, registry: tm.Registry) -> None:
    one = make("n").with_tags(a="1")
    before = next(iter(registry.snapshot()["n"])).created
    time.sleep(0.005)
    one.remove()
    record(one)
    after = next(iter(registry.snapshot()["n"])).created
    assert before < after <= time.time()


def test_close_leaves_instruments_harmless_and_can_be_called_again(make: Any, registry: tm.Registry) -> None:
    one = make("n").with_tags(a="1")
    with registry as entered:
        assert entered is registry
        record(one)
    registry.close()
    record(one)
    assert recorded(one) == 2


def test_an_exception_passes_through_a_registry_block(registry: tm.Registry) -> None:
    with pytest.raises(ValueError, match="mine"), registry:
        raise ValueError("mine")


def test_an_instrument_outlives_its_registry(engine: Any, kind: str) -> None:
    one = getattr(tm.Registry(engine=engine.name), kind)("n").with_tags(a="1")
    gc.collect()
    record(one)
    one.remove()
    record(one)
    assert recorded(one) == 1
    assert one.with_tags(a="1") is one


def test_a_handle_that_outlives_its_unregistered_metric_and_its_registry_still_counts(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name)
    counter = registry.counter("n")
    counter.inc()
    registry.unregister("n")
    del registry
    gc.collect()
    counter.inc(2)
    assert counter.value == 2


@pytest.mark.parametrize("how", ["unregister", "detach", "close"])
def test_what_another_thread_removes_first_is_gone(registry: tm.Registry, how: str) -> None:
    """Both have seen it, and the other one removes it."""
    reporter = Reporter()
    registry.attach(reporter)
    registry.gauge("n", callback=lambda: 1)
    registry._reporters = Robbed(registry._reporters)
    reader = registry._reader()
    reader._callbacks = RobbedDict(reader._callbacks)
    calls = {
        "unregister": lambda: registry.unregister("n"),
        "detach": lambda: registry.detach(reporter),
        "close": registry.close,
    }
    calls[how]()
    assert list(registry.snapshot()) == [] or how != "unregister"


class Reporter:
    def close(self) -> None:
        """Do nothing."""


class Robbed(list[Any]):
    """A list that others empty whenever it was asked if something is in it."""

    def __contains__(self, item: object) -> bool:
        found = super().__contains__(item)
        self.clear()
        return found

    def __bool__(self) -> bool:
        found = len(self) > 0
        self.clear()
        return found


class RobbedDict(dict[Any, Any]):
    """A dict that others empty whenever its keys were listed."""

    def __iter__(self) -> Any:
        keys = list(super().__iter__())
        self.clear()
        return iter(keys)


def test_a_metric_made_anew_is_as_the_new_request_says(engine: Any) -> None:
    """Where nobody holds the old one: whether the garbage collector ran must make no difference."""
    gc.disable()
    try:
        registry = tm.Registry(engine=engine.name)
        registry.counter("n", description="old", ttl=TTL, limits=tm.TagLimits(max_series=1)).inc(k="0")
        registry.unregister("n")
        counter = registry.counter("n", description="new", limits=tm.TagLimits(max_series=3))
        for k in "123":
            counter.inc(k=k)
        assert counter.description == "new"
        assert exported(registry) == [{"k": "1"}, {"k": "2"}, {"k": "3"}]
    finally:
        gc.enable()


def test_a_metric_that_somebody_holds_a_series_of_is_the_same_again(registry: tm.Registry) -> None:
    series = registry.counter("n", description="old").with_tags(a="1")
    registry.unregister("n")
    counter = registry.counter("n", description="new")
    assert counter.description == "old"
    assert counter is registry.counter("n")
    assert counter.with_tags(a="1") is series
