"""Pages of Prometheus text, and what a snapshot then holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

import tallymark as tm
from tallymark.read import ReadError
from tallymark.read.text import TextReader


def read(page: str) -> tm.Snapshot:
    return tm.Snapshot(TextReader().families(page), 0.0)


def only(page: str) -> tm.FamilySnapshot:
    (family,) = read(page).families
    return family


# What each type becomes


def test_a_counter() -> None:
    family = only('# HELP hits_total All \\\\ hits.\\nTwo lines.\n# TYPE hits_total counter\nhits_total{a="b"} 5\n')
    assert (family.name, family.exposition_name, family.kind, family.unit) == ("hits_total", "hits_total", "counter", "")
    assert family.description == "All \\ hits.\nTwo lines."
    assert family.data == tm.SumData((tm.TagSet(a="b"),), (0.0,), (5.0,), True)


def test_a_counter_whose_name_does_not_end_in_total_keeps_it() -> None:
    assert only("# TYPE hits counter\nhits 5\n").exposition_name == "hits"


def test_a_gauge() -> None:
    family = only("# TYPE room_celsius gauge\nroom_celsius -2.5\n")
    assert family.data == tm.GaugeData((tm.TagSet(),), (0.0,), (-2.5,))


@pytest.mark.parametrize(("name", "kind"), [("hits_total", "counter"), ("hits", "gauge")])
@pytest.mark.parametrize("header", ["", "# TYPE {} untyped\n", "# TYPE {} unknown\n", "# TYPE {} nonsense\n"])
def test_what_has_no_type_is_a_counter_if_it_is_named_as_one(name: str, kind: str, header: str) -> None:
    assert only(f"{header.format(name)}{name} 5\n").kind == kind


HISTOGRAM = """\
# TYPE wait_seconds histogram
wait_seconds_bucket{{a="b",le="0.1"}} 3
wait_seconds_bucket{{a="b",le="1"}} 5
{infinite}wait_seconds_sum{{a="b"}} 7.5
{count}"""
INFINITE, COUNT = 'wait_seconds_bucket{a="b",le="+Inf"} 6\n', 'wait_seconds_count{a="b"} 6\n'


@pytest.mark.parametrize(("infinite", "count"), [(INFINITE, COUNT), ("", COUNT), (INFINITE, "")])
def test_a_histogram_with_or_without_its_last_bucket(infinite: str, count: str) -> None:
    family = only(HISTOGRAM.format(infinite=infinite, count=count))
    assert (family.name, family.kind, family.unit, family.bounds) == ("wait_seconds", "timer", "seconds", (0.1, 1.0))
    (series,) = family
    assert series.tags == {"a": "b"}
    assert (series.histogram.bucket_counts, series.sum) == ((3, 2, 1), 7.5)


def test_a_histogram_without_last_bucket_and_count_counts_what_its_buckets_do() -> None:
    (series,) = only(HISTOGRAM.format(infinite="", count=""))
    assert series.histogram.bucket_counts == (3, 2, 0)


def test_quantiles_are_those_of_histogram_quantile() -> None:
    """Its first bucket starts at 0, and what is above the last bound is taken to be at it."""
    (series,) = only(HISTOGRAM.format(infinite=INFINITE, count=COUNT))
    assert series.histogram.quantile(0.25) == pytest.approx(0.05)
    assert series.histogram.quantile(0.99) == 1.0


def test_series_of_a_histogram_with_other_bounds_have_the_same_in_a_snapshot() -> None:
    family = only('# TYPE h histogram\nh_bucket{a="1",le="1"} 2\nh_bucket{a="1",le="+Inf"} 3\nh_bucket{a="2",le="2"} 4\n')
    assert family.bounds == (1.0, 2.0)
    assert [one.histogram.bucket_counts for one in family] == [(2, 0, 1), (0, 4, 0)]


def test_a_bucket_that_is_smaller_than_the_one_before_is_empty() -> None:
    (series,) = only('# TYPE h histogram\nh_bucket{le="1"} 5\nh_bucket{le="2"} 4\nh_bucket{le="+Inf"} 6\n')
    assert series.histogram.bucket_counts == (5, 0, 1)


@pytest.mark.parametrize("count", ["NaN", "-1", "+Inf", "1.7e308"])
def test_a_count_that_can_be_none_is_0(count: str) -> None:
    (series,) = only(f'# TYPE h histogram\nh_bucket{{le="1"}} {count}\nh_bucket{{le="+Inf"}} 6\n')
    assert series.histogram.bucket_counts == (0, 6)


def test_a_histogram_of_one_bucket_is_at_its_mean() -> None:
    (series,) = only('# TYPE h histogram\nh_bucket{le="+Inf"} 4\nh_sum 10\nh_count 4\n')
    assert series.histogram.quantile(0.5) == 2.5


def test_a_summary_has_the_quantiles_that_it_tells() -> None:
    page = '# TYPE gc_seconds summary\ngc_seconds{quantile="0.5"} 0.1\ngc_seconds_sum 7.5\ngc_seconds_count 6\n'
    (summary,) = read(page).families
    assert summary.data == tm.SummaryData((tm.TagSet(),), (0.0,), (6,), (7.5,), (((0.5, 0.1),),))
    assert summary.exposition_name == "gc_seconds"


def test_a_quantile_that_is_none_is_passed_over() -> None:
    page = '# TYPE s summary\ns{quantile="x"} 1\ns{quantile="2"} 1\ns{quantile="nan"} 1\ns 1\ns_count 6\n'
    assert read(page).families[0].data == tm.SummaryData((tm.TagSet(),), (0.0,), (6,), (0.0,))


def test_a_summary_that_tells_quantiles_alone_is_a_gauge_for_each() -> None:
    (family,) = read('# TYPE s summary\ns{quantile="0.5"} 1\n').families
    assert family.data == tm.GaugeData((tm.TagSet(quantile="0.5"),), (0.0,), (1.0,))


def test_a_metric_that_is_named_as_the_quantiles_of_a_summary_is_not_mixed_with_them() -> None:
    snapshot = read('# TYPE x summary\nx{quantile="0.5"} 1\nx_count 1\n{"x.quantile"} 5\n{"x.quantile",a="b"} 5\n')
    assert [family.name for family in snapshot.families] == ["x", "x.quantile"]


def test_a_bucket_without_a_bound_is_passed_over() -> None:
    (series,) = only('# TYPE h histogram\nh_bucket 9\nh_bucket{le=""} 9\nh_bucket{le="1"} 3\nh_count 4\n')
    assert series.histogram.bucket_counts == (3, 1)


def test_very_many_bounds_become_fewer_and_each_time_the_same() -> None:
    def page(counts: range) -> str:
        lines = [f'h_bucket{{a="{series}",le="{series + 0.5}"}} {counts[series]}\n' for series in range(1100)]
        return "# TYPE h histogram\n" + "".join(lines)

    family, later = only(page(range(1100))), only(page(range(1, 1101)))
    assert len(family.bounds) * len(family) <= 2**20
    assert len(family.bounds) > 300
    assert family.bounds == later.bounds
    assert [sum(one.histogram.bucket_counts) for one in family] == [*range(1100)]
    (place,) = [place for place, bound in enumerate(family.bounds) if bound == family.bounds[7]]
    row = int(family.bounds[7])
    assert family.data.bucket_counts[row][place] == row  # type: ignore[union-attr]


def test_only_a_histogram_s_le_is_a_bucket() -> None:
    family = only('# TYPE x_bucket gauge\nx_bucket{le="1"} 5\nx_bucket{le="2"} 6\n')
    assert [one.tags for one in family] == [{"le": "1"}, {"le": "2"}]


# Whole pages


def peer_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("hits", "Hits.", ["route"], registry=registry).labels('a"\\\n} 5 # {x="y"} ').inc(3)
    Gauge("depth", "Depth.", registry=registry).set(math.inf)
    Histogram("wait_seconds", "Wait.", buckets=(0.1, 1), registry=registry).observe(0.5)
    Summary("size_bytes", "Size.", registry=registry).observe(7)
    return registry


@pytest.mark.parametrize("generate", [generate_latest, generate_openmetrics])
def test_what_prometheus_client_writes(generate: object) -> None:
    snapshot = read(generate(peer_registry()).decode())  # type: ignore[operator]
    kinds = {family.exposition_name: family.kind for family in snapshot.families if "_created" not in family.name}
    assert kinds == {"hits_total": "counter", "depth": "gauge", "wait_seconds": "timer", "size_bytes": "summary"}
    assert next(iter(snapshot["hits_total"])).tags == {"route": 'a"\\\n} 5 # {x="y"} '}
    assert next(iter(snapshot["depth"])).value == math.inf
    assert next(iter(snapshot["wait_seconds"])).histogram.bucket_counts == (0, 1, 0)


def test_what_we_write_in_each_format(registry: tm.Registry) -> None:
    registry.counter("hits", description="Hits.").inc(3, exemplar={"trace_id": "a"}, route="} 4 # {")
    registry.timer("wait").record(0.5, exemplar={"trace_id": "b"})
    registry.info("build", version="1")
    text = read(tm.render_prometheus(registry.snapshot()).decode())
    openmetrics = read(tm.render_openmetrics(registry.snapshot()).decode())
    for snapshot in (text, openmetrics):
        assert next(iter(snapshot["hits_total"])).value == 3
        assert next(iter(snapshot["hits_total"])).tags == {"route": "} 4 # {"}
        assert next(iter(snapshot["wait_seconds"])).histogram.count == 1
        assert snapshot["wait_seconds"].unit == "seconds"
        assert next(iter(snapshot["build_info"])).tags == {"version": "1"}
    assert openmetrics["build_info"].kind == "info"


def test_it_can_be_written_again(registry: tm.Registry) -> None:
    registry.counter("hits", description='A "hit".\n\\').inc(3, route='"\\\n')
    registry.timer("wait").record(0.5)
    page = tm.render_prometheus(registry.snapshot()).decode()
    assert tm.render_prometheus(read(page)).decode() == page


# What is read again

PARTS = [
    "x",
    "x_total",
    "{",
    "}",
    'a="b"',
    'a="} 1"',
    'a=" # "',
    'a="\\""',
    ",",
    " ",
    "\t",
    "1",
    "1e5",
    "NaN",
    " # ",
    '{t="u"}',
]


@pytest.mark.parametrize(
    ("line", "later"),
    [
        ("x 1", "x 2"),
        ("x  1", "x  2"),
        ("  x 1", "  x 2"),
        ("x\t1", "x\t12"),
        ('x{a="b"} 1', 'x{a="b"} 2'),
        ('x{a="b"} 1 1700000000000', 'x{a="b"} 2 1700000001000'),
        ('x{a="} 7"} 1', 'x{a="} 7"} 2'),
        ('x{a=" # "} 1', 'x{a=" # "} 2'),
        ('x_total{a="b"} 1 # {t="u"} 9', 'x_total{a="b"} 2 # {t="u"} 8'),
        ('x_total 1 # {t="u"} 9 1.5', 'x_total 2 # {t="u"} 8 1.5'),
        ('x{a="b"} 1\r', 'x{a="b"} 2\r'),
        ("x\t1 1700000000000", "x\t2 1700000000000"),
        ('x{a="b c"}\t1', 'x{a="b c"}\t2'),
        ('x{a="b c"}1', 'x{a="b c"}2'),
        ('x{a="b c",d="} "}\t1 5', 'x{a="b c",d="} "}\t2 5'),
    ],
)
def test_a_page_that_is_read_again_is_read_as_the_first_time(line: str, later: str) -> None:
    reader = TextReader()
    reader.families(f"{line}\n")
    assert reader.families(f"{later}\n") == TextReader().families(f"{later}\n")
    ((value,),) = [family.data.values for family in reader.families(f"{later}\n")]  # type: ignore[union-attr]
    assert value in (2.0, 12.0)


@given(st.lists(st.sampled_from(PARTS), min_size=2, max_size=8).map("".join))
def test_any_line_is_read_again_as_the_first_time(line: str) -> None:
    reader = TextReader()
    try:
        first = reader.families(f"{line}\n")
    except ReadError:
        return
    assert repr(reader.families(f"{line}\n")) == repr(first)
    assert [repr(family.data) for family in reader.families(f"{line}\n")] == [repr(family.data) for family in first]


def test_lines_that_are_gone_are_forgotten() -> None:
    reader = TextReader()
    reader.families('x{a="1"} 1\n')
    reader.families('x{a="2"} 1\n')
    assert len(reader._subjects) == 1


# What is not valid


@pytest.mark.parametrize(
    "line",
    [
        "hello, world", "x", "x5", 'x{a="b"}', 'x{a="b} 5', "x{a=b} 5", "x five", 'x{a="b"} 1 # ', '{"a": 5}', "[1, 2]", "}} 5",
        'h_bucket{le="many"} 5', 'h_bucket{le="NaN"} 5', '{="b"} 5', "\x1b[31m 5", "x 1 2 \x00",
    ],
)  # fmt: skip
def test_a_line_that_is_not_valid_is_named(line: str) -> None:
    reader = TextReader()
    reader.families("y 5\nx 5\n")
    with pytest.raises(ReadError, match=r"^line 3 is not Prometheus text: ") as raised:
        reader.families(f"y 5\n\n{line}\n")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 200


def test_a_line_without_end_is_not_parsed() -> None:
    """The parser would take a minute for this one."""
    with pytest.raises(ReadError, match=r"^line 2 is longer than 65,536 characters: x\{a="):
        read('y 5\nx{a="' + '\\"' * 400_000 + '"} 5\n')


@pytest.mark.parametrize("page", ["", "\n\n", "# EOF\n", "# a comment\n# TYPE x\n", "# HELP x\n# TYPE x counter\n"])
def test_a_page_without_samples_has_no_families(page: str) -> None:
    assert read(page).families == ()


def test_names_that_only_utf_8_has_are_made_valid() -> None:
    family = only('# TYPE "http.hits" counter\n{"http.hits","my tag"="b"} 5\n')
    assert (family.name, family.kind) == ("http.hits", "counter")
    assert next(iter(family)).tags == {"_my_tag": "b"}
