"""The eight faults of the Go library that this follows: for each, what must hold here, in snapshots and expositions."""

from __future__ import annotations

from itertools import pairwise
from threading import Thread

import pytest

import tallymark as tm


def text(registry: tm.Registry) -> str:
    return tm.render_prometheus(registry.snapshot()).decode()


def test_1_what_a_bound_instrument_records_is_reported(registry: tm.Registry) -> None:
    registry.counter("n").with_tags(a="1").with_tags(b="2").inc(3)
    found = registry.snapshot().find("n", a="1", b="2")
    assert found is not None
    assert found.value == 3
    assert 'n_total{a="1",b="2"} 3.0\n' in text(registry)


def test_2_two_tag_sets_of_one_name_do_not_collide(registry: tm.Registry) -> None:
    one, two = registry.counter("n", tags={"a": "1"}), registry.counter("n", tags={"a": "2"})
    one.inc(5)
    two.inc(7)
    assert one is not two
    assert 'n_total{a="1"} 5.0\n' in text(registry)
    assert 'n_total{a="2"} 7.0\n' in text(registry)


def test_3_values_are_not_truncated_and_a_minimum_of_zero_is_set(registry: tm.Registry) -> None:
    size = registry.histogram("size")
    size.observe(0.5)
    assert size.snapshot().sum == 0.5
    size.observe(0)
    size.observe(2)
    assert (size.snapshot().min, size.snapshot().max) == (0.0, 2.0)


def test_4_a_bound_histogram_keeps_its_bounds(registry: tm.Registry) -> None:
    bound = registry.histogram("size", buckets=[1, 10]).with_tags(a="1")
    bound.observe(5)
    assert bound.bounds == bound.snapshot().bounds == (1.0, 10.0)
    assert bound.snapshot().bucket_counts == (0, 1, 0)
    assert 'size_bucket{a="1",le="10.0"} 1\n' in text(registry)


@pytest.mark.parametrize("readings", [2, 5])
def test_5_reading_again_reports_the_same_totals_and_the_whole_distribution(registry: tm.Registry, readings: int) -> None:
    registry.counter("n").inc(3, a="1")
    for value in (0.5, 3, 30):
        registry.histogram("size", buckets=[1, 10]).observe(value)
    snapshots = [registry.snapshot() for _ in range(readings)]
    for earlier, later in pairwise(snapshots):
        assert tm.render_prometheus(earlier) == tm.render_prometheus(later)
    found = snapshots[-1].find("size")
    assert found is not None
    assert (found.histogram.bucket_counts, found.histogram.sum) == ((1, 1, 1), 33.5)
    registry.counter("n").inc(a="1")
    later = registry.snapshot().find("n", a="1")
    assert later is not None
    assert later.value == 4


def test_6_tags_never_leak_between_series(registry: tm.Registry) -> None:
    counter = registry.counter("n")

    def work(me: int) -> None:
        for i in range(200):
            counter.with_tags({f"only_{me}": i % 5}).inc(**{f"also_{me}": i % 3})

    threads = [Thread(target=work, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for series in registry.snapshot()["n"]:
        owners = {key.rsplit("_", 1)[1] for key in series.tags}
        assert len(owners) <= 1
    assert sum(series.value for series in registry.snapshot()["n"]) == 800


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"a:b": "c"}, {"a": "b:c"}),
        ({"a": "1,b=2"}, {"a": "1", "b": "2"}),
        ({"a": '1",b="2'}, {"a": "1", "b": "2"}),
        ({"a": "x", "b": ""}, {"a": "", "b": "x"}),
    ],
)
def test_7_no_text_of_one_tag_set_makes_it_another(registry: tm.Registry, one: dict[str, str], two: dict[str, str]) -> None:
    counter = registry.counter("n")
    counter.inc(3, **one)
    counter.inc(5, **two)
    assert counter.with_tags(one).value == 3
    assert counter.with_tags(two).value == 5
    assert text(registry).count("n_total{") == 2


def test_8_limits_on_data_never_raise_on_the_request_path(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=1, max_value_length=3))
    for user in ("a", "b", "far too long"):
        counter.inc(user=user)
    assert sum(series.value for series in registry.snapshot()["n"]) == 3
