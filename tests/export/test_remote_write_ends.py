"""Prometheus remote write: a series that is gone gets a last sample that says so, and no other does."""

from __future__ import annotations

from typing import Any

import pytest

import tallymark as tm
from everything import family, tags
from remote_write_messages import decoded, ended, values
from tallymark.export.remote_write import remote_write_parts
from tallymark.export.remote_write_labels import RemoteWriteLabels

Names = set[tuple[str, tuple[tuple[str, str], ...]]]


def gone(before: tm.Snapshot, after: tm.Snapshot, **options: Any) -> Names:
    """Return the series that are said to have ended: names and sorted labels. All others must be those of `after` alone."""
    request = decoded(remote_write_parts(after, before=before, **options))
    found = ended(request)
    options.pop("labels", None)
    assert len(request.timeseries) == len(found) + len(decoded(remote_write_parts(after, **options)).timeseries)
    return {(name, tuple(sorted(labels))) for name, labels in found}


def snapshot(*families: tm.FamilySnapshot, time: float = 20.0) -> tm.Snapshot:
    return tm.Snapshot(families, time)


def counter(*sets: dict[str, str], name: str = "n") -> tm.FamilySnapshot:
    return family(name, "counter", tm.SumData(tags(*sets), (0.0,) * len(sets), (1.0,) * len(sets), True))


def test_a_series_that_was_removed_has_ended(registry: tm.Registry) -> None:
    requests, size = registry.counter("requests"), registry.histogram("size", buckets=[1])
    for route in "ab":
        requests.inc(route=route)
        size.observe(2, route=route)
    before = registry.snapshot()
    assert gone(before, registry.snapshot()) == set()
    requests.with_tags(route="a").remove()
    size.with_tags(route="b").remove()
    assert gone(before, registry.snapshot()) == {
        ("requests_total", (("route", "a"),)),
        ("size_bucket", (("le", "+Inf"), ("route", "b"))),
        ("size_bucket", (("le", "1.0"), ("route", "b"))),
        ("size_count", (("route", "b"),)),
        ("size_sum", (("route", "b"),)),
    }


def test_a_series_that_was_removed_and_came_back_goes_on(registry: tm.Registry) -> None:
    requests = registry.counter("requests")
    requests.inc(route="a")
    before = registry.snapshot()
    requests.with_tags(route="a").remove()
    requests.inc(route="a")
    assert gone(before, registry.snapshot()) == set()


def test_all_series_of_a_metric_that_is_gone_have_ended() -> None:
    told = tm.SummaryData(tags({}), (0.0,), (1,), (1.0,), (((0.5, 1.0),),))
    wide = tm.ExponentialHistogramData(tags({}), (0.0,), (0,), (0,), ((0, (1,)),), ((0, ()),), (1.0,), (1.0,), (1.0,))
    before = snapshot(counter({"a": "1"}), family("s", "summary", told), family("e", "histogram", wide))
    assert gone(before, snapshot()) == {
        ("n_total", (("a", "1"),)), ("s", (("quantile", "0.5"),)), ("s_sum", ()), ("s_count", ()), ("e", ()),
    }  # fmt: skip


def test_buckets_that_are_others_have_ended() -> None:
    first, second = (
        family("h", "histogram", tm.HistogramData(tags({}), (0.0,), bounds, ((1, 0, 0),), (1.0,), (1.0,), (1.0,)))
        for bounds in ((1.0, 2.0), (1.0, 3.0))
    )
    assert gone(snapshot(first), snapshot(second)) == {("h_bucket", (("le", "2.0"),))}


@pytest.mark.parametrize("native", [True, False])
def test_exponential_buckets_that_became_coarser_have_ended_where_they_are_classic(native: bool) -> None:
    first, second = (
        tm.ExponentialHistogramData(tags({}), (0.0,), (scale,), (0,), ((0, counts),), ((0, ()),), (9.0,), (2.0,), (9.0,))
        for scale, counts in ((1, (1, 1, 1)), (0, (2, 1, 1)))
    )
    found = gone(snapshot(family("e", "histogram", first)), snapshot(family("e", "histogram", second)), native=native)
    assert {name for name, _ in found} == (set() if native else {"e_bucket"})
    assert len(found) == (0 if native else 2)  # 1.414... and 2.828...; 1, 2 and infinity are still there


def test_a_series_that_another_one_goes_on_with_has_not_ended() -> None:
    assert gone(snapshot(counter({"a.b": "1"}, {"a_b": "1"})), snapshot(counter({"a_b": "1"}))) == set()
    labels = RemoteWriteLabels({"env": "prod"})
    assert gone(snapshot(counter({}, {"env": "prod"})), snapshot(counter({})), labels=labels) == set()
    assert gone(snapshot(counter({"x": ""}, {"y": "2"})), snapshot(counter({}))) == {("n_total", (("y", "2"),))}


def test_a_metric_that_changed_its_kind_ends_where_its_series_are_others() -> None:
    gauge = family("n_total", "gauge", tm.GaugeData(tags({"a": "1"}), (0.0,), (1.0,)))
    assert gone(snapshot(counter({"a": "1"}, {"a": "2"})), snapshot(gauge)) == {("n_total", (("a", "2"),))}


def test_the_last_sample_has_the_time_of_the_report() -> None:
    request = decoded(remote_write_parts(snapshot(time=21.5), before=snapshot(counter({}))))
    assert [one.samples[0].timestamp for one in request.timeseries] == [21_500]


def test_thousands_of_series_end_at_once() -> None:
    many = [{"i": str(i)} for i in range(3000)]
    before, after = snapshot(counter(*many)), snapshot(counter(*many[1000:]))
    request = decoded(remote_write_parts(after, before=before, prefix="p_"))
    assert {dict(labels)["i"] for _, labels in ended(request)} == {str(i) for i in range(1000)}
    assert len(values(request)) == 3000


def test_a_series_goes_on_if_another_has_its_labels_because_one_of_them_is_reserved() -> None:
    both, one = ({"exported_le": "a"}, {"le": "a"}), ({"exported_le": "a"},)
    before, after = (
        family("h", "histogram", tm.HistogramData(tags(*sets), (0.0,), (), ((1,),) * len(sets), (1.0,) * 2, (1.0,), (1.0,)))
        for sets in (both, one)
    )
    assert gone(snapshot(before), snapshot(after)) == set()


def exponential(*firsts: int) -> tm.FamilySnapshot:
    """Return series that have the same labels in Prometheus, each with one bucket."""
    ones, sides = (1.0,) * len(firsts), tuple([(first, (1,)) for first in firsts])
    sets = tags(*[{f"a{separator}b": "1"} for separator, _ in zip("._", firsts, strict=False)])
    none = ((0, ()),) * len(firsts)
    data = tm.ExponentialHistogramData(sets, ones, (0,) * len(firsts), (0,) * len(firsts), sides, none, ones, ones, ones)
    return family("e", "histogram", data)


def bounds(names: Names) -> set[str]:
    return {dict(labels)["le"] for name, labels in names if name == "e_bucket"}


def test_a_bucket_that_two_series_have_together_has_not_ended() -> None:
    before, after = exponential(1, 0), exponential(3, 0)  # together they have all bounds from 1 on: first to 4, then to 16
    assert gone(snapshot(before), snapshot(after), native=False) == set()
    assert bounds(gone(snapshot(after), snapshot(before), native=False)) == {"8.0", "16.0"}
    assert bounds(gone(snapshot(after), snapshot(exponential(3)), native=False)) == {"1.0", "2.0", "4.0"}
    assert gone(snapshot(before), snapshot(after)) == set()


def test_quantiles_that_others_do_not_tell_any_more_have_ended() -> None:
    def summary(*quantiles: float) -> tm.FamilySnapshot:
        told = tuple([(quantile, 1.0) for quantile in quantiles])
        return family("s", "summary", tm.SummaryData(tags({}), (0.0,), (1,), (1.0,), (told,) if told else ()))

    assert gone(snapshot(summary(0.5, 0.9)), snapshot(summary(0.5))) == {("s", (("quantile", "0.9"),))}
    assert gone(snapshot(summary(0.5)), snapshot(summary())) == {("s", (("quantile", "0.5"),))}
    assert gone(snapshot(summary()), snapshot(summary(0.5))) == set()


def test_exponential_twins_end_with_the_bounds_that_they_had_together() -> None:
    def spread(*rows: tuple[str, int, int]) -> tm.FamilySnapshot:
        """Return a histogram of series: the value of a tag that is left out if empty, the scale, the first bucket."""
        column, scales = tags(*[{"a": name} for name, _, _ in rows]), tuple([scale for _, scale, _ in rows])
        ones, buckets = (1.0,) * len(rows), tuple([(first, (1,)) for _, _, first in rows])
        nothing = ((0, ()),) * len(rows)
        data = tm.ExponentialHistogramData(
            (tm.TagSet({}), *column[1:]), ones, scales, (0,) * len(rows), buckets, nothing, ones, ones, ones
        )
        return family("e", "histogram", data)

    before, after = snapshot(spread(("", 0, 2), ("", 1, 9))), snapshot(spread(("", 0, 2)))
    told = values(decoded(remote_write_parts(before, native=False)))
    left = values(decoded(remote_write_parts(after, native=False)))
    found = gone(before, after, native=False)
    assert found == {(name, tuple(sorted(labels))) for name, labels in set(told) - set(left)}
    assert found


@pytest.mark.parametrize("turned", [False, True])
def test_a_histogram_that_became_exponential_or_back_ends_where_its_series_are_others(turned: bool) -> None:
    classic = tm.HistogramData(tags({}), (0.0,), (0.0, 1.0, 5.0), ((0, 0, 1, 0),), (2.0,), (2.0,), (2.0,))
    wide = tm.ExponentialHistogramData(tags({}), (0.0,), (0,), (0,), ((0, (1,)),), ((0, ()),), (2.0,), (2.0,), (2.0,))
    both = [snapshot(family("h", "histogram", data)) for data in (classic, wide)]
    before, after = reversed(both) if turned else both
    assert gone(before, after, native=False) == {("h_bucket", (("le", "2.0" if turned else "5.0"),))}
