"""The strategies for tags keep one contract, except the pool as it was proposed, which leaks the tags of strangers."""

from __future__ import annotations

import contextlib
import threading

import pytest
from copied import COPY_KINDS, CopyOperations, Totals
from hypothesis import given
from hypothesis import strategies as st
from pooled import Pool, PoolAsProposed, PooledCounter
from strategies import STRATEGIES, TaggedCounter

SOUND = [name for name in STRATEGIES if name != "pool as proposed"]


@pytest.fixture(params=SOUND)
def counter(request: pytest.FixtureRequest) -> TaggedCounter:
    return STRATEGIES[request.param]()


def test_tags_add_up(counter: TaggedCounter) -> None:
    assert counter.with_tags(a="1").with_tags(b="2").tags == {"a": "1", "b": "2"}


def test_later_tags_win(counter: TaggedCounter) -> None:
    assert counter.with_tags(a="1", b="2").with_tags(a="3").tags == {"a": "3", "b": "2"}


def test_binding_leaves_the_parent_alone(counter: TaggedCounter) -> None:
    parent = counter.with_tags(a="1")
    parent.with_tags(b="2").inc()
    assert (parent.tags, parent.value) == ({"a": "1"}, 0)


def test_order_does_not_matter(counter: TaggedCounter) -> None:
    counter.inc(a="1", b="2")
    counter.inc(b="2", a="1")
    assert counter.with_tags(b="2").with_tags(a="1").value == 2


def test_a_record_goes_to_the_series_of_all_tags(counter: TaggedCounter) -> None:
    counter.with_tags(a="1").inc(2.5, b="2")
    assert counter.with_tags(a="1", b="2").value == 2.5
    assert counter.with_tags(a="1").value == 0


def test_series_are_apart(counter: TaggedCounter) -> None:
    for amount, user in enumerate("abcde", 1):
        counter.inc(amount, user=user)
    assert [counter.with_tags(user=user).value for user in "abcde"] == [1, 2, 3, 4, 5]


def test_a_bound_counter_keeps_its_tags_while_others_come_and_go(counter: TaggedCounter) -> None:
    kept = counter.with_tags(user="kept")
    for i in range(1000):
        counter.with_tags(user=str(i % 10), other="x").inc(more="y")
    assert kept.tags == {"user": "kept"}


def test_changing_the_returned_tags_changes_nothing(counter: TaggedCounter) -> None:
    bound = counter.with_tags(a="1")
    with contextlib.suppress(TypeError):  # frozen: better still
        bound.tags["a"] = "2"  # type: ignore[index]
    assert bound.tags == {"a": "1"}


def test_no_count_is_lost_over_threads(counter: TaggedCounter) -> None:
    def record() -> None:
        for i in range(2000):
            counter.inc(thread=str(i % 3))
            counter.with_tags(thread=str(i % 3)).inc()

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counter.with_tags(thread=str(i)).value for i in range(3)) == 16_000


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=30))
def test_all_strategies_agree(records: list[dict[str, str]]) -> None:
    totals = []
    for name in SOUND:
        counter = STRATEGIES[name]()
        for tags in records:
            counter.inc(**tags)
        totals.append([counter.with_tags(**tags).value for tags in records])
    assert all(one == totals[0] for one in totals)


def test_the_pool_as_proposed_leaks_the_tags_of_strangers() -> None:
    """Go evaluates `clearMap(tags)` at the `defer`, so a map goes back dirty, and the next user inherits what is in it."""
    counter = STRATEGIES["pool as proposed"]()
    counter.inc(user="ada", token="secret")
    assert counter.with_tags(route="/").tags == {"user": "ada", "token": "secret", "route": "/"}


def test_records_alone_do_not_show_the_fault() -> None:
    """Each begins by clearing what the last one left: why the fault passes a test of records alone."""
    totals = Totals()
    counter = PooledCounter(PoolAsProposed(), totals=totals)
    counter.inc(user="ada")
    counter.inc(route="/")
    assert totals[frozenset({("route", "/")})] == 1


def test_a_pool_is_bounded_and_what_is_in_it_is_empty() -> None:
    pool = Pool(size=3)
    for _ in range(10):
        pool.give({"a": "1"})
    assert [pool.take() for _ in range(4)] == [{}, {}, {}, {}]
    assert len(pool._free) == 0


def test_a_pooled_counter_gives_its_dict_back() -> None:
    pool = Pool()
    counter = PooledCounter(pool)
    held = id(counter.with_tags(a="1")._tags)
    assert id(pool._free[-1]) == held
    assert not pool._free[-1]


def test_a_dirty_pool_is_the_proposals_alone() -> None:
    dirty, clean = PoolAsProposed(), Pool()
    for pool in (dirty, clean):
        pool.give({"a": "1"})
    assert (dirty.take(), clean.take()) == ({"a": "1"}, {})


@pytest.mark.parametrize("kind", COPY_KINDS)
def test_binding_returns_the_same_kind(kind: type) -> None:
    bound = kind({"a": "1"}).with_tags(b="2")
    assert type(bound) is kind
    assert bound.tags == {"a": "1", "b": "2"}


def test_the_copying_layer_counts() -> None:
    ops = CopyOperations()
    for _ in range(3):
        ops.record_operation("auth", "success", 0.5)
        ops.record_error("auth", "ValueError", "user")
    assert {key: counter.value for key, (counter, _) in ops._cache.items()} == {
        "operation:auth:success": 3,
        "error:auth:ValueError:user": 3,
    }
