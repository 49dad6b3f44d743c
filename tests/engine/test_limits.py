"""`TagLimits`: keys that break a rule raise; values that do are truncated or redirected, and counted."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import tallymark as tm

KINDS = {"counter": "inc", "gauge": "inc", "histogram": "observe", "timer": "record"}


def rejected(registry: tm.Registry, metric: str, reason: str) -> float:
    series = registry.snapshot().find("tallymark_rejected", metric=metric, reason=reason)
    return series.value if series else 0.0


def totals(registry: tm.Registry, name: str = "n") -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(one.tags.items()): one.histogram.sum if one.family.bounds else one.value for one in registry.snapshot()[name]}


def test_the_defaults_are_those_of_the_contract() -> None:
    limits = tm.TagLimits()
    assert (limits.max_tags, limits.max_key_length, limits.max_value_length, limits.max_series) == (10, 100, 200, 1000)
    assert limits.disallowed_keys == ()


def test_too_many_tags_are_a_tag_error(registry: tm.Registry) -> None:
    tags = {f"k{i}": i for i in range(10)}
    counter = registry.counter("n")
    counter.inc(**tags)
    with pytest.raises(tm.TagError, match=r"'n'.*11 tags.*max_tags"):
        counter.inc(**tags, one_more="x")
    with pytest.raises(tm.TagError, match="max_tags"):
        counter.with_tags(tags).with_tags(one_more="x")
    assert len(registry.snapshot()["n"]) == 1


def test_a_long_key_is_a_tag_error(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(**{"k" * 100: "x"})
    with pytest.raises(tm.TagError, match=r"'n'.*101 characters.*max_key_length"):
        counter.inc(**{"k" * 101: "x"})


def test_a_disallowed_key_is_a_tag_error(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(disallowed_keys=("user_id",)))
    with pytest.raises(tm.TagError, match=r"'n'.*'user_id'.*disallowed_keys"):
        counter.inc(user_id="1")
    with pytest.raises(tm.TagError, match="user_id"):
        registry.counter("n", tags={"user_id": "1"})
    counter.inc(user="1")


def test_a_long_value_is_truncated_and_counted(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    counter.inc(path="x" * 200)
    counter.inc(path="y" * 201)
    counter.inc(path="y" * 300)
    assert totals(registry) == {(("path", "x" * 200),): 1, (("path", "y" * 199 + "…"),): 2}
    assert rejected(registry, "n", "value_too_long") == 2


def test_a_long_value_gives_the_same_bound_series_each_time(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_value_length=5))
    assert counter.with_tags(path="abcdef") is counter.with_tags(path="abcdefgh") is counter.with_tags(path="abcd…")


def test_a_long_value_raises_where_the_registry_is_strict(strict_registry: tm.Registry) -> None:
    with pytest.raises(tm.TagError, match="201 characters"):
        strict_registry.counter("n").inc(path="y" * 201)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_beyond_max_series_goes_to_the_one_overflow_series(registry: tm.Registry, kind: str) -> None:
    root = getattr(registry, kind)("n", limits=tm.TagLimits(max_series=2))
    record = getattr(root, KINDS[kind])
    for user in ("a", "b", "c", "d", "a", "c"):
        record(1, user=user)
    assert totals(registry) == {(("user", "a"),): 2, (("user", "b"),): 1, (("overflow", "true"),): 3}
    assert rejected(registry, "n", "max_series") == 3


def test_with_tags_beyond_max_series_gives_the_overflow_series(registry: tm.Registry) -> None:
    root = registry.counter("n", limits=tm.TagLimits(max_series=1))
    root.with_tags(user="a")
    over = root.with_tags(user="b")
    assert over.tags == {"overflow": "true"}
    assert root.with_tags(user="c") is over
    assert over.with_tags(more="x") is over
    over.inc()
    over.inc(more="y")
    assert over.value == 2


def test_root_and_overflow_are_not_counted(registry: tm.Registry) -> None:
    root = registry.counter("n", limits=tm.TagLimits(max_series=1))
    root.inc()
    root.inc(user="a")
    root.inc(user="b")
    root.inc()
    assert totals(registry) == {(): 2, (("user", "a"),): 1, (("overflow", "true"),): 1}


def test_an_overflow_series_keeps_the_tags_of_the_registry(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h"}, limits=tm.TagLimits(max_series=1))
    counter = registry.counter("n")
    counter.inc(user="a")
    counter.inc(user="b")
    assert (("host", "h"), ("overflow", "true")) in totals(registry)


def test_the_total_stays_right_over_the_limit(registry: tm.Registry) -> None:
    counter = registry.counter("n")
    for i in range(1200):
        counter.inc(i, user=i)
    seen = totals(registry)
    assert len(seen) == 1001
    assert sum(seen.values()) == sum(range(1200))


def test_a_removed_series_no_longer_counts_towards_the_limit(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=1))
    first = counter.with_tags(user="a")
    first.remove()
    counter.inc(user="b")
    first.inc()
    assert totals(registry) == {(("user", "b"),): 1, (("overflow", "true"),): 1}
    counter.with_tags(user="b").remove()
    first.inc()
    assert totals(registry) == {(("user", "a"),): 1, (("overflow", "true"),): 1}


def test_over_the_limit_raises_where_the_registry_is_strict(strict_registry: tm.Registry) -> None:
    counter = strict_registry.counter("n", limits=tm.TagLimits(max_series=1))
    counter.inc(user="a")
    with pytest.raises(tm.TagError, match="max_series"):
        counter.inc(user="b")


def test_the_log_names_the_tag_with_the_most_values(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=5))
    with caplog.at_level(logging.WARNING, "tallymark"):
        for i in range(8):
            counter.inc(method="GET", user=i)
    assert len(caplog.records) == 1
    assert "'user'" in caplog.text
    assert "max_series" in caplog.text


def test_limits_of_a_metric_win_over_those_of_the_registry(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, limits=tm.TagLimits(max_tags=1))
    with pytest.raises(tm.TagError):
        registry.counter("n").inc(a="1", b="2")
    registry.counter("m", limits=tm.TagLimits(max_tags=2)).inc(a="1", b="2")


def test_tags_of_the_registry_are_no_bad_data_of_a_record(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h" * 250})
    counter = registry.counter("n")
    counter.inc()
    counter.inc(a="1")
    assert {one.tags["host"] for one in registry.snapshot()["n"]} == {"h" * 199 + "…"}
    assert rejected(registry, "n", "value_too_long") == 0


def test_tags_of_the_registry_that_are_not_allowed_raise_before_any_record(engine: Any) -> None:
    limits = tm.TagLimits(disallowed_keys=("secret",))
    with pytest.raises(tm.TagError, match="secret"):
        tm.Registry(engine=engine.name, tags={"secret": "s"}, limits=limits)
    with pytest.raises(tm.TagError, match="secret"):
        tm.Registry(engine=engine.name, tags={"secret": "s"}).counter("n", limits=limits)


@pytest.mark.parametrize("name", ["max_tags", "max_key_length", "max_value_length", "max_series"])
def test_a_limit_is_a_positive_int(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        tm.TagLimits(**{name: 0})
    for wrong in ("1", 1.0, True, None):
        with pytest.raises(TypeError, match=name):
            tm.TagLimits(**{name: wrong})  # type: ignore[arg-type]


def test_disallowed_keys_is_a_collection() -> None:
    with pytest.raises(TypeError, match="disallowed_keys"):
        tm.TagLimits(disallowed_keys="user")  # type: ignore[arg-type]
    assert tm.TagLimits(disallowed_keys=["a"]).disallowed_keys == ("a",)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [5, {"max_tags": 1}])
def test_limits_of_a_wrong_type_are_a_type_error(registry: tm.Registry, limits: Any) -> None:
    with pytest.raises(TypeError, match="limits"):
        registry.counter("n", limits=limits)
    with pytest.raises(TypeError, match="limits"):
        tm.Registry(limits=limits)
