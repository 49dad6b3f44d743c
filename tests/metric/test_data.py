"""What a snapshot holds: one type of data for each kind, and how it reads as text, as HTML and at a prompt."""

from __future__ import annotations

import copy
import pickle
from html.parser import HTMLParser
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from tallymark.metric.data import DATA_TYPES

TWO = tm.HistogramSnapshot((1.0, 2.0), (1, 2, 3), 11.5, 0.5, 4.0)


def by_hand(kind: str, data: Any, name: str = "n", unit: str = "") -> tm.FamilySnapshot:
    return tm.FamilySnapshot(name, kind, "", unit, data)


def exponential(scale: int, zeros: int, positives: Any, negatives: Any = (0, ()), **tags: str) -> tm.FamilySnapshot:
    """A family of one series, whose sum and extremes nobody looks at."""
    row = ((tm.TagSet(tags),), (0.0,), (scale,), (zeros,), (positives,), (negatives,), (1.0,), (-1.0,), (1.0,))
    return by_hand("histogram", tm.ExponentialHistogramData(*row))


# One type for each kind


def test_each_kind_has_its_type_of_data(registry: tm.Registry) -> None:
    registry.counter("counter").inc(2)
    registry.gauge("gauge").set(-3)
    registry.gauge("sum", aggregate="sum").set(4)
    registry.gauge("last", aggregate="last").set(5)
    registry.gauge("max", aggregate="max").set(6)
    registry.histogram("histogram", buckets=(1, 2)).observe(1.5)
    registry.timer("timer", buckets=(1,)).record(3)
    registry.info("info", version="1.2")
    registry.state("state", ["on", "off"]).set("off")
    snapshot = registry.snapshot()
    types = {family.name: type(family.data) for family in snapshot.families}
    assert types == {
        "counter": tm.SumData, "gauge": tm.GaugeData, "sum": tm.SumData, "last": tm.GaugeData, "max": tm.GaugeData,
        "histogram": tm.HistogramData, "timer": tm.HistogramData, "info_info": tm.InfoData, "state": tm.StateSetData,
        "tallymark_series": tm.GaugeData,
    }  # fmt: skip
    assert [snapshot[name].kind for name in ("sum", "info_info", "state", "timer")] == ["gauge", "info", "stateset", "timer"]
    sums = [snapshot[name].data for name in ("counter", "sum")]
    assert [data.monotonic for data in sums if isinstance(data, tm.SumData)] == [True, False]
    values = {family.name: list(family.columns.values) for family in snapshot.families if family.kind != "timer"}
    assert values == {
        "counter": [2], "gauge": [-3], "sum": [4], "last": [5], "max": [6], "histogram": [], "info_info": [1],
        "state": [0, 1], "tallymark_series": [1, 1, 1, 1, 1, 1, 1, 1, 2],
    }  # fmt: skip
    assert all(type(family.data) in DATA_TYPES for family in snapshot.families)


def test_columns_are_there_whatever_they_mean(registry: tm.Registry) -> None:
    registry.timer("took", buckets=(1,)).record(0.5)
    registry.counter("n").inc(a="1")
    took, n = registry.snapshot()["took"], registry.snapshot()["n"]
    assert (list(map(list, took.columns.bucket_counts)), list(took.columns.sums), list(took.columns.values)) == (
        [[1, 0]],
        [0.5],
        [],
    )
    assert (list(n.columns.values), list(n.columns.sums), n.columns.tags) == ([1], [], n.data.tags)
    assert list(n.columns.created) == list(n.data.created)
    assert (took.bounds, n.bounds) == ((1.0,), ())
    summary = tm.family("summary", "s", [({}, (3, 4.5))])
    assert (summary.columns.sums, summary.columns.values, summary.bounds) == ((4.5,), (), ())
    assert exponential(0, 0, (0, (1,))).bounds == ()
    assert tm.family("info", "i", [({}, 1)]).columns.values == (1.0,)


def test_a_series_tells_what_its_kind_has(registry: tm.Registry) -> None:
    registry.counter("n").inc(2, a="1")
    registry.timer("took", buckets=(1,)).record(0.5)
    n, took = (next(iter(registry.snapshot()[name])) for name in ("n", "took"))
    assert (n.name, n.kind, dict(n.tags), n.value) == ("n", "counter", {"a": "1"}, 2)
    assert n.created > 1e9
    assert (took.count, took.sum, took.histogram.bucket_counts, took.histogram.max) == (1, 0.5, (1, 0), 0.5)
    [summary] = tm.family("summary", "s", [({}, (3, 4.5))])
    assert (summary.count, summary.sum) == (3, 4.5)
    [row] = exponential(0, 2, (0, (1, 3)))
    assert (row.count, row.sum, row.histogram.bounds) == (6, 1.0, (0.0, 1.0, 2.0, 4.0))


ONE_NUMBER = ["counter", "gauge", "info", "stateset"]


@pytest.mark.parametrize("kind", ONE_NUMBER)
def test_a_series_of_one_number_has_no_distribution(kind: Any) -> None:
    [one] = tm.family(kind, "n", [({"state": "a"}, 1.0)])
    assert one.value == 1.0
    for name in ("histogram", "count", "sum"):
        with pytest.raises(AttributeError, match=rf"{kind} 'n' has no distribution; read \.value"):
            getattr(one, name)
        assert not hasattr(one, name)


def test_a_distribution_has_no_single_value() -> None:
    for family in (
        tm.family("histogram", "n", [({}, TWO)]),
        tm.family("timer", "n", [({}, TWO)]),
        exponential(0, 0, (0, (1,))),
    ):
        [one] = family
        with pytest.raises(AttributeError, match=r"'n' has no single value; read \.histogram, or \.count and \.sum"):
            one.value


def test_a_summary_has_neither() -> None:
    [one] = tm.family("summary", "n", [({}, (3, 4.5))])
    with pytest.raises(AttributeError, match=r"no single value"):
        one.value
    with pytest.raises(AttributeError, match=r"no distribution; read \.count and \.sum"):
        one.histogram


def test_a_snapshot_can_be_copied_and_pickled(registry: tm.Registry) -> None:
    registry.counter("n").inc(a="1")
    registry.timer("took").record(0.5)
    registry.info("service", version="1.2")
    snapshot = registry.snapshot()
    for other in (pickle.loads(pickle.dumps(snapshot)), copy.deepcopy(snapshot), copy.copy(snapshot)):
        assert other == snapshot
        assert tm.render_prometheus(other) == tm.render_prometheus(snapshot)
    assert snapshot != registry.snapshot()  # at another time


def test_a_snapshot_is_searched_by_name_and_tags(registry: tm.Registry) -> None:
    registry.counter("n").inc(a="1", b="2")
    snapshot = registry.snapshot()
    assert "n" in snapshot
    assert "m" not in snapshot
    assert 5 not in snapshot
    found = snapshot.find("n", {"a": "1"}, b="2")
    assert found == next(iter(snapshot["n"]))
    assert snapshot.find("n", a="1") is snapshot.find("m", a="1") is None
    with pytest.raises(KeyError, match="m"):
        snapshot["m"]


# Exponential histograms


def count_below(scale: int, zeros: int, positives: Any, negatives: Any, bound: float) -> int:
    """Count by brute force: each bucket by the middle of what it holds."""
    base = 2.0 ** (2.0**-scale)
    below = zeros if bound >= 0 else 0
    for sign, (first, counts) in ((1.0, positives), (-1.0, negatives)):
        below += sum(count for i, count in enumerate(counts, first) if sign * base ** (i + 0.5) <= bound)
    return below


BUCKETS = st.tuples(st.integers(-12, 12), st.lists(st.integers(0, 5), max_size=12).map(tuple))


@settings(max_examples=100, deadline=None)
@given(st.integers(-2, 4), st.integers(0, 3), BUCKETS, BUCKETS)
def test_an_exponential_histogram_reads_as_its_buckets_say(scale: int, zeros: int, positives: Any, negatives: Any) -> None:
    row = exponential(scale, zeros, positives, negatives).data.row(0)  # type: ignore[union-attr]
    assert list(row.bounds) == sorted(set(row.bounds))
    assert len(row.bucket_counts) == len(row.bounds) + 1
    assert row.count == zeros + sum(positives[1]) + sum(negatives[1])
    for i, bound in enumerate(row.bounds):
        assert sum(row.bucket_counts[: i + 1]) == count_below(scale, zeros, positives, negatives, bound)


@pytest.mark.parametrize(
    ("scale", "zeros", "positives", "negatives", "bounds", "counts"),
    [
        (0, 0, (0, ()), (0, ()), (0.0,), (0, 0)),
        (0, 5, (0, ()), (0, ()), (0.0,), (5, 0)),
        (0, 0, (0, (1,)), (0, ()), (0.0, 1.0, 2.0), (0, 0, 1, 0)),
        (0, 1, (1, (2, 3)), (0, ()), (0.0, 2.0, 4.0, 8.0), (1, 0, 2, 3, 0)),
        (0, 1, (0, ()), (1, (2, 3)), (-4.0, -2.0, 0.0), (3, 2, 1, 0)),
        (1, 0, (2, (1,)), (0, ()), (0.0, 2.0, 2.82842712474619), (0, 0, 1, 0)),  # the next double is above the bound
        (-1, 0, (1, (1,)), (0, ()), (0.0, 4.0, 16.0), (0, 0, 1, 0)),
        (0, 0, (1023, (7,)), (0, ()), (0.0, 2.0**1023), (0, 0, 7)),  # the last bound is beyond a double
        (0, 0, (-1076, (7,)), (0, ()), (0.0,), (7, 0)),  # and these are too close to 0
        (20, 0, (0, (1,)), (0, ()), (0.0, 1.0, 2.0 ** (2.0**-20)), (0, 0, 1, 0)),
    ],
)  # fmt: skip
def test_exponential_buckets_have_these_bounds(
    scale: int, zeros: int, positives: Any, negatives: Any, bounds: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    row = exponential(scale, zeros, positives, negatives).data.row(0)  # type: ignore[union-attr]
    assert (row.bounds, row.bucket_counts) == (bounds, counts)


# As Prometheus reads them


def parsed(*families: tm.FamilySnapshot) -> dict[str, Any]:
    """Return the families that Prometheus' own parser reads: type, and value of each sample."""
    text = tm.render_prometheus(tm.Snapshot(families, 0.0)).decode()
    return {
        one.name: (one.type, {(sample.name, *sorted(sample.labels.items())): sample.value for sample in one.samples})
        for one in text_string_to_metric_families(text)
    }


def test_a_summary_reads_as_a_summary() -> None:
    family = tm.family("summary", "size", [({"a": "1"}, (3, 4.5)), ({}, (0, -1.0))], unit="bytes")
    assert parsed(family) == {
        "size_bytes": (
            "summary",
            {
                ("size_bytes_count", ("a", "1")): 3, ("size_bytes_sum", ("a", "1")): 4.5,
                ("size_bytes_count",): 0, ("size_bytes_sum",): -1,
            },
        )
    }  # fmt: skip


def test_summaries_whose_tags_become_alike_add_up() -> None:
    family = tm.family("summary", "n", [({"a.b": "1"}, (3, 4.5)), ({"a_b": "1"}, (2, 0.5))])
    assert parsed(family)["n"][1] == {("n_count", ("a_b", "1")): 5, ("n_sum", ("a_b", "1")): 5}


def test_an_exponential_histogram_reads_as_a_histogram() -> None:
    found = parsed(exponential(0, 1, (0, (2, 3)), (0, (4,)), a="1"))
    assert found["n"][0] == "histogram"
    buckets = {dict(key[1:])["le"]: value for key, value in found["n"][1].items() if key[0] == "n_bucket"}  # type: ignore[arg-type]
    assert buckets == {"-1.0": 4, "0.0": 5, "1.0": 5, "2.0": 7, "4.0": 10, "+Inf": 10}
    assert found["n"][1]["n_count", ("a", "1")] == 10


def test_infos_and_states_read_as_gauges() -> None:
    info = tm.family("info", "service_info", [({"version": "1.2"}, 1)])
    states = tm.family("stateset", "worker", [({"state": "on"}, 0), ({"state": "off"}, 1)])
    assert parsed(info, states) == {
        "service_info": ("gauge", {("service_info", ("version", "1.2")): 1}),
        "worker": ("gauge", {("worker", ("state", "on")): 0, ("worker", ("state", "off")): 1}),
    }


def test_a_sum_that_is_not_monotonic_reads_as_a_gauge() -> None:
    data = tm.SumData((tm.TagSet(),), (0.0,), (-5.0,), False)
    assert parsed(by_hand("gauge", data)) == {"n": ("gauge", {("n",): -5})}
    assert parsed(tm.family("counter", "n", [({}, 5)])) == {"n": ("counter", {("n_total",): 5})}


def test_special_numbers_read_back() -> None:
    family = tm.family("gauge", "n", [({"is": str(value)}, value) for value in (nan, inf, -inf, 5e-324)])
    values = list(parsed(family)["n"][1].values())
    assert isnan(values[0])
    assert values[1:] == [inf, -inf, 5e-324]


# At a prompt


@pytest.fixture
def everything(registry: tm.Registry) -> dict[str, Any]:
    """One of each public object that a user may meet at a prompt."""
    counter, gauge, timer = registry.counter("requests"), registry.gauge("depth"), registry.timer("took")
    histogram = registry.histogram("size", unit="bytes")
    counter.inc(3, method="GET")
    timer.record(0.25)
    snapshot = registry.snapshot()
    ops = tm.OperationalMetrics(registry)
    return {
        "registry": registry, "counter": counter, "bound": counter.with_tags(method="GET"), "gauge": gauge, "timer": timer,
        "histogram": histogram, "timing": timer.time(), "in progress": gauge.track_in_progress(),
        "exceptions": counter.count_exceptions(), "state": registry.state("state", ["on"]), "snapshot": snapshot,
        "family": snapshot["requests"], "view": next(iter(snapshot["requests"])), "timer view": next(iter(snapshot["took"])),
        "histogram snapshot": timer.snapshot(), "tag set": counter.with_tags(method="GET").tags, "limits": tm.TagLimits(),
        "operation": ops.operation("auth"), "operational": ops, "host": tm.Host(name="h"), "null": tm.NullRegistry(),
        "null counter": tm.NullRegistry().counter("n"), "use": tm.use(registry), "outcome": tm.Outcome("error"),
    }  # fmt: skip


def test_every_public_object_reads_as_one_short_line(everything: dict[str, Any]) -> None:
    for name, one in everything.items():
        text = repr(one)
        assert "\n" not in text, name
        assert len(text) < 250, name
        assert text, name


def test_reprs_say_what_is_held(everything: dict[str, Any], engine: Any) -> None:
    texts = {name: repr(one) for name, one in everything.items()}
    assert texts["registry"] == f"<Registry: 8 metrics, 3 series, {engine.name} engine>"
    assert texts["counter"] == "<Counter requests 0 and 1 tagged series>"
    assert texts["bound"] == "<Counter requests{method='GET'} 3>"
    assert texts["timer"] == "<Timer took count=1 sum=0.25>"
    assert texts["timing"] == "<Timing <Timer took count=1 sum=0.25>>"
    assert texts["family"] == "<FamilySnapshot counter requests: 1 series>"
    assert texts["view"] == "<SeriesView counter requests{method='GET'} 3>"
    assert texts["timer view"] == "<SeriesView timer took count=1 sum=0.25>"
    assert texts["snapshot"].startswith("<Snapshot of 5 metrics, 8 series, at ")
    assert texts["null counter"] == "<counter n of a NullRegistry>"


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (0.25, "0.25"), (-0.0, "0"), (nan, "nan"), (inf, "inf"), (1e16, "1e+16")]
)
def test_numbers_are_shown_without_a_needless_fraction(registry: tm.Registry, value: float, text: str) -> None:
    gauge = registry.gauge("n")
    gauge.set(value)
    assert repr(gauge) == f"<Gauge n {text}>"
    assert repr(next(iter(registry.snapshot()["n"]))) == f"<SeriesView gauge n {text}>"


def test_a_view_of_a_huge_family_shows_its_own_row_alone() -> None:
    tags = tuple(tm.TagSet(i=i) for i in range(100_000))
    zeros = (0.0,) * len(tags)
    family = by_hand("gauge", tm.GaugeData(tags, zeros, zeros))
    snapshot = tm.Snapshot((family,), 0.0)
    assert repr(tm.SeriesView(family, 99_999)) == "<SeriesView gauge n{i='99999'} 0>"
    assert repr(family) == "<FamilySnapshot gauge n: 100000 series>"
    assert repr(snapshot) == "<Snapshot of 1 metrics, 100000 series, at 0.000>"
    html = snapshot._repr_html_()
    assert html.count("<tr>") == 202  # the heading, 200 series, and how many more there are
    assert "and 99800 more series" in html


class Cells(HTMLParser):
    """The texts of the cells of a table, and the tags that there are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_a_notebook_shows_a_table_of_what_is_held(registry: tm.Registry) -> None:
    registry.counter("sent", unit="bytes").inc(3, a="1")
    registry.timer("took", buckets=(1,)).record(0.5)
    for shown in (registry, registry.snapshot()):
        cells = Cells(shown._repr_html_()).cells
        assert cells[:4] == ["sent (bytes)", "counter", "a='1'", "3"]
        assert cells[4:8] == ["took (seconds)", "timer", "", "count 1, sum 0.5, p50 0.5, p99 0.5"]
    assert Cells(registry.snapshot()["sent"]._repr_html_()).cells == ["sent (bytes)", "counter", "a='1'", "3"]
    summary = tm.family("summary", "s", [({}, (3, 4.5))])
    assert Cells(summary._repr_html_()).cells == ["s", "summary", "", "count 3, sum 4.5"]
    assert Cells(tm.Snapshot((), 0.0)._repr_html_()).cells == []


def test_a_notebook_runs_nothing_that_a_tag_says(registry: tm.Registry) -> None:
    evil = "</td><script>alert('\"&amp;')</script>"
    registry.counter("n", unit=evil, description=evil).inc(a=evil)
    shown = Cells(registry.snapshot()._repr_html_())
    assert shown.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    assert shown.cells[0] == f"n ({evil})"
    assert shown.cells[2] == f"a={evil!r}"


def test_thousands_of_series_can_be_read_as_one() -> None:
    tags, ones = (tm.TagSet(),) * 3000, (1.0,) * 3000
    classic = tm.HistogramData(tags, ones, (1.0,), ((1, 2),) * 3000, ones, ones, ones)
    buckets, none = ((0, (2,)),) * 3000, ((0, ()),) * 3000
    wide = tm.ExponentialHistogramData(tags, ones, (0,) * 3000, (1,) * 3000, buckets, none, ones, ones, ones)
    assert classic.row(*range(3000)).bucket_counts == (3000, 6000)
    assert (classic.row(*range(3000)).sum, wide.row(*range(3000)).positives) == (3000.0, (0, (6000,)))
