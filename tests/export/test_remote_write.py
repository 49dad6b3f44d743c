"""Prometheus remote write: bytes that must not change, and what comes back when the protobuf runtime decodes them."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from protobuf_pages import samples_of_text

import tallymark as tm
from everything import everything, family, tags
from remote_write_messages import TYPES, decoded, labels_of, series, sides, values
from tallymark.engine.exemplar import Exemplar
from tallymark.export.relabelling import Relabelling
from tallymark.export.remote_write import remote_write_parts
from tallymark.export.remote_write_labels import RemoteWriteLabels
from tallymark.export.tagged_page import TaggedPage

on_each_engine = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TIME = 1_700_000_000.25  # 1,700,000,000,250 milliseconds are fa d1 95 ff bc 31


def parts(*families: tm.FamilySnapshot, time: float = TIME, **options: Any) -> list[bytes]:
    return list(remote_write_parts(tm.Snapshot(families, time), **options))


def request(*families: tm.FamilySnapshot, **options: Any) -> Any:
    return decoded(parts(*families, **options))


def of_text(snapshot: tm.Snapshot) -> dict[Any, str]:
    """Return what a scrape gives, with values as text, in which all NaN are the same."""
    return of_page(tm.render_prometheus(snapshot))


def of_page(page: bytes) -> dict[Any, str]:
    return {key: repr(float(value)) for key, value in samples_of_text(page).items()}


def of_request(snapshot: tm.Snapshot, **options: Any) -> dict[Any, str]:
    found = values(decoded(remote_write_parts(snapshot, native=False, **options)))
    return {key: repr(value) for key, value in found.items()}


# Bytes


def test_bytes_of_a_counter_with_an_exemplar() -> None:
    exemplar = Exemplar((("a", "b"),), 0.5, TIME - 1)
    data = tm.SumData(tags({"a": "b"}, {"Z": "1"}), (0.0, 0.0), (1.5, 0.0), True, ((exemplar,), ()))
    assert b"".join(parts(family("n", "counter", data, "D."))).hex(" ") == (
        "1a 0f 08 01 12 07 6e 5f 74 6f 74 61 6c 22 02 44 2e"  # metadata: COUNTER, n_total, D.
        " 0a 49"  # a series
        " 0a 13 0a 08 5f 5f 6e 61 6d 65 5f 5f 12 07 6e 5f 74 6f 74 61 6c"  # __name__="n_total"
        " 0a 06 0a 01 61 12 01 62"  # a="b"
        " 12 10 09 00 00 00 00 00 00 f8 3f 10 fa d1 95 ff bc 31"  # 1.5, at its time
        " 1a 18 0a 06 0a 01 61 12 01 62 11 00 00 00 00 00 00 e0 3f 18 92 ca 95 ff bc 31"  # 0.5, a second before
        " 0a 2f"
        " 0a 06 0a 01 5a 12 01 31"  # Z="1" is before the name
        " 0a 13 0a 08 5f 5f 6e 61 6d 65 5f 5f 12 07 6e 5f 74 6f 74 61 6c"
        " 12 10 09 00 00 00 00 00 00 00 00 10 fa d1 95 ff bc 31"
    )


def test_bytes_of_a_native_histogram() -> None:
    # 2 observations of 0, 1 in (1, 2], 3 in (2, 4], 1 in (64, 128]; 300 in [-0.5, -0.25)
    data = tm.ExponentialHistogramData(
        tags({}), (0.0,), (0,), (2,), ((0, (1, 3, 0, 0, 0, 0, 1)),), ((-2, (300,)),), (9.0,), (-0.5,), (100.0,)
    )
    assert b"".join(parts(family("h", "histogram", data, unit="s"))).hex(" ") == (
        "1a 0a 08 03 12 03 68 5f 73 2a 01 73"  # metadata: HISTOGRAM, h_s, unit s
        " 0a 4e"
        " 0a 0f 0a 08 5f 5f 6e 61 6d 65 5f 5f 12 03 68 5f 73"
        " 22 3b"
        " 08 b3 02"  # 307 observations
        " 19 00 00 00 00 00 00 22 40"  # whose sum is 9
        " 20 00"  # schema 0
        " 29 01 00 00 00 00 00 00 00"  # zero threshold
        " 30 02"
        " 42 04 08 01 10 01 4a 02 d8 04"  # negative: from index -1 on, one bucket; 300
        " 5a 04 08 02 10 02 5a 04 08 08 10 01 62 03 02 04 03"  # positive: from 1 on two, four further one; 1, +2, -2
        " 78 fa d1 95 ff bc 31"
    )


# What a scrape gives


PLAIN = ["A", "job", "z" * 100]
TAGS = st.dictionaries(
    st.sampled_from(["a", "a.b", "a_b", "_", "__name__", "le", "quantile", "état", *PLAIN]),
    st.sampled_from(["", "1", "x" * 200, 'q"\\\n', "\udc80", "\u20ac", '"} 1\nforged 1\n']),
    max_size=4,
)


EIGHTHS = st.integers(-800, 800).map(lambda number: number / 8)
"""They add up to the same in any order."""


@on_each_engine
@given(records=st.lists(st.tuples(TAGS, EIGHTHS), max_size=12), given_tags=TAGS, prefix=st.sampled_from(["", "p."]))
def test_a_request_has_the_series_of_a_scrape(
    engine: Any, records: list[tuple[dict[str, str], float]], given_tags: dict[str, str], prefix: str
) -> None:
    registry = tm.Registry(engine=engine.name)
    for each, value in records:
        registry.counter("c.d", unit="bytes").with_tags(each).inc(abs(value))
        registry.gauge("g").with_tags(each).set(value)
        registry.histogram("h", buckets=[-10, 0, 2.5, 50]).with_tags(each).observe(value)
        registry.timer("t").with_tags(each).record(abs(value))
        registry.histogram("e", exponential=True).with_tags(each).observe(value)
    registry.info("i", {"version": "1"})
    registry.state("s", ["on", "off"]).set("on")
    snapshot = registry.snapshot()
    assert of_request(snapshot) == of_text(snapshot)
    given_tags = dict(tm.TagSet(given_tags))  # as a backend has them
    found = of_request(snapshot, labels=RemoteWriteLabels(given_tags), prefix=prefix)  # which asserts that it is well formed
    added = {key: value for key, value in given_tags.items() if value}
    if not any("" in each.values() for each, _ in records) and all(key in PLAIN for key in added):
        page = TaggedPage(added).render(Relabelling(prefix, added).relabelled(snapshot))
        assert found == of_page(page)


def test_a_request_of_everything_has_the_series_of_a_scrape() -> None:
    assert of_request(everything()) == of_text(everything())


def test_quantiles_of_other_libraries_have_their_label_in_its_place() -> None:
    data = tm.SummaryData(tags({"a": "1", "z": "2"}), (0.0,), (3,), (6.0,), (((0.5, 2.0), (0.99, 3.0)),))
    found = series(request(family("s", "summary", data)))
    assert {labels: one.samples[0].value for labels, one in found.items()} == {
        (("__name__", "s"), ("a", "1"), ("quantile", "0.5"), ("z", "2")): 2.0,
        (("__name__", "s"), ("a", "1"), ("quantile", "0.99"), ("z", "2")): 3.0,
        (("__name__", "s_count"), ("a", "1"), ("z", "2")): 3.0,
        (("__name__", "s_sum"), ("a", "1"), ("z", "2")): 6.0,
    }


def test_each_metric_has_its_description_once() -> None:
    found = [
        (each.metric_family_name, TYPES[each.type], each.help, each.unit)
        for each in decoded(parts(*everything().families)).metadata
    ]
    assert found[:2] == [
        ("http_requests_total", "COUNTER", 'Say "hi" \\ now.\nYes.', ""),
        ("sent_bytes_total", "COUNTER", "", "bytes"),
    ]
    assert ("took_seconds", "HISTOGRAM", "How long.", "seconds") in found
    assert ("pause_seconds", "SUMMARY", "", "seconds") in found
    assert ("build_info", "GAUGE", "", "") in found
    assert ("in_flight_req_s", "GAUGE", "é\u20ac ?", "") in found
    assert len(found) == len({name for name, *_ in found}) == len(everything().families) - 1  # one has no series


# Numbers and times


@pytest.mark.parametrize("payload", [0x7FF0000000000002, 0xFFF8000000000000, 0x7FF8000000000001])
def test_what_is_not_a_number_never_says_that_a_series_has_ended(payload: int) -> None:
    (value,) = struct.unpack("<d", struct.pack("<Q", payload))
    data = tm.GaugeData(tags({}, {"a": "1"}), (0.0, 0.0), (value, 1.0))
    (found, other) = request(family("g", "gauge", data)).timeseries
    assert struct.pack("<d", found.samples[0].value).hex() == "010000000000f87f"
    assert other.samples[0].value == 1.0


def test_values_arrive_bit_by_bit() -> None:
    numbers = (0.1, -0.0, 1.7976931348623157e308, 5e-324, math.inf, -math.inf, 12345678901234567.0, 0.30000000000000004)
    data = tm.GaugeData(tags(*[{"i": str(i)} for i in range(len(numbers))]), (0.0,) * len(numbers), numbers)
    found = [one.samples[0].value for one in request(family("g", "gauge", data)).timeseries]
    assert struct.pack("8d", *found) == struct.pack("8d", *numbers)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (TIME, 1_700_000_000_250),
        (0.0, 0),
        (-1.5, -1500),
        (math.nan, 0),
        (math.inf, 0),
        (1e300, 0),
        (253402300800.0, 253402300800000),
    ],
)
def test_times_are_milliseconds(time: float, expected: int) -> None:
    data = tm.GaugeData(tags({}), (0.0,), (1.0,))
    assert request(family("g", "gauge", data), time=time).timeseries[0].samples[0].timestamp == expected


@pytest.mark.parametrize("count", [2**53, 2**63, 2**64, 2**70])
def test_counts_of_any_size_can_be_told(count: int) -> None:
    classic = tm.HistogramData(tags({}), (0.0,), (1.0,), ((count, 0),), (1.0,), (1.0,), (1.0,))
    native = tm.ExponentialHistogramData(tags({}), (0.0,), (0,), (0,), ((0, (count,)),), ((0, ()),), (1.0,), (1.0,), (2.0,))
    found = series(request(family("h", "histogram", classic), family("e", "histogram", native)))
    assert found[(("__name__", "h_count"),)].samples[0].value == float(count)
    if count < 2**63:
        assert found[(("__name__", "e"),)].histograms[0].count_int == count
    else:  # as in a scrape, Prometheus gets classic buckets of more than it can count
        assert found[(("__name__", "e_count"),)].samples[0].value == float(count)


# Native histograms and exemplars


@on_each_engine
@given(records=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), scale=st.integers(0, 3))
def test_a_native_histogram_holds_what_was_recorded(engine: Any, records: list[float], scale: int) -> None:
    registry = tm.Registry(engine=engine.name)
    spread = registry.histogram("spread", exponential=True)
    for value in records:
        spread.observe(value * 10.0**scale)
    snapshot = registry.snapshot()
    (found,) = [one.histograms[0] for one in decoded(remote_write_parts(snapshot)).timeseries if one.histograms]
    negative, positive = sides(found)
    assert found.count_int == len(records)
    assert found.zero_count_int + sum(negative.values()) + sum(positive.values()) == len(records)
    assert found.sum == snapshot["spread"].data.sums[0]  # type: ignore[union-attr]
    base = 2.0**2.0**-found.schema
    for value in {abs(value) * 10.0**scale for value in records if abs(value) > 1e-300}:
        index = math.log(value, base)
        assert any(round(index + step) in (positive | negative) for step in (-0.5, 0, 0.5, 1))


def test_a_scale_that_prometheus_does_not_know_has_classic_buckets() -> None:
    data = tm.ExponentialHistogramData(tags({}), (0.0,), (-5,), (0,), ((0, (1,)),), ((0, ()),), (1.0,), (1.0,), (1.0,))
    names = {dict(labels)["__name__"] for labels in series(request(family("e", "histogram", data)))}
    assert names == {"e_bucket", "e_sum", "e_count"}


def test_exemplars_are_at_the_series_that_they_belong_to_and_the_newest_of_each() -> None:
    seen = [Exemplar((("trace_id", str(i)),), value, TIME - 9 + i) for i, value in enumerate((0.5, 0.6, 10.0, 50.0))]
    classic = tm.HistogramData(tags({}), (0.0,), (1.0, 10.0), ((2, 1, 1),), (9.0,), (0.5,), (50.0,), (tuple(seen),))
    native = tm.ExponentialHistogramData(
        tags({}), (0.0,), (0,), (0,), ((0, (1,)),), ((0, ()),), (1.0,), (1.0,), (1.0,), (tuple(reversed(seen)),)
    )
    found = series(request(family("h", "histogram", classic), family("e", "histogram", native)))
    told = {
        (dict(labels)["__name__"], dict(labels).get("le", "")): [
            (labels_of(one.labels), one.value, one.timestamp / 1000) for one in each.exemplars
        ]
        for labels, each in found.items()
        if each.exemplars
    }
    as_told = [(one.labels, one.value, one.time) for one in seen]
    assert told == {
        ("h_bucket", "1.0"): [as_told[1]],
        ("h_bucket", "10.0"): [as_told[2]],
        ("h_bucket", "+Inf"): [as_told[3]],
        ("e", ""): as_told,
    }


def test_exemplars_that_were_told_in_the_report_before_are_left_out() -> None:
    old, new = Exemplar((), 1.0, TIME - 20), Exemplar((), 2.0, TIME - 5)
    timeless = [(Exemplar((), 3.0, time),) for time in (0.0, math.nan, math.inf)]
    data = tm.SumData(tags(*[{"a": str(i)} for i in range(5)]), (0.0,) * 5, (1.0,) * 5, True, ((old,), (new,), *timeless))
    before = tm.Snapshot((), TIME - 10)
    found = request(family("n", "counter", data), before=before).timeseries
    assert [[(one.value, one.timestamp) for one in each.exemplars] for each in found] == [
        [], [(2.0, int((TIME - 5) * 1000))], *[[(3.0, int(TIME * 1000))]] * 3,
    ]  # fmt: skip


# Labels that all series are given


def test_a_series_own_labels_win_and_twins_that_come_of_it_add_up() -> None:
    data = tm.SumData(tags({}, {"env": "prod"}, {"env": "test"}, {"z": ""}), (0.0,) * 4, (1.0, 2.0, 4.0, 8.0), True)
    labels = RemoteWriteLabels({"env": "prod"})
    for _ in range(2):  # the second time, with what is kept of the keys
        found = values(request(family("n", "counter", data), labels=labels))
        assert found == {
            ("n_total", frozenset({("env", "prod")})): 11.0,
            ("n_total", frozenset({("env", "test")})): 4.0,
        }


def test_twins_that_come_of_a_given_label_alone_add_up() -> None:
    count = tm.SumData(tags({}, {"env": "prod"}), (0.0, 0.0), (1.0, 2.0), True)
    level = tm.GaugeData(tags({}, {"env": "prod"}), (0.0, 0.0), (1.0, 2.0))
    found = request(family("n", "counter", count), family("g", "gauge", level), labels=RemoteWriteLabels({"env": "prod"}))
    assert set(values(found).values()) == {3.0, 2.0}


def test_a_given_label_never_takes_the_place_of_a_bucket() -> None:
    data = tm.HistogramData(tags({}), (0.0,), (1.0,), ((1, 0),), (1.0,), (1.0,), (1.0,))
    found = series(request(family("h", "histogram", data), labels=RemoteWriteLabels({"le": "x", "__name__": "y"})))
    assert (("__name__", "h_bucket"), ("_name__", "y"), ("exported_le", "x"), ("le", "1.0")) in found


def test_a_later_report_has_the_bytes_of_the_first(registry: tm.Registry) -> None:
    for key in ("plain", "not.plain", "A"):
        registry.counter("n").inc(**{key: "for each series"})
        registry.histogram("h").observe(1, **{key: "for each series"})
    kept = RemoteWriteLabels({"host": "h"})
    snapshot = registry.snapshot()
    first, second = [[list(remote_write_parts(snapshot, labels=labels)) for labels in (None, kept)] for _ in range(2)]
    assert first == second


@pytest.mark.parametrize("given", [{}, {"g": "1"}])
def test_labels_may_repeat_only_where_those_of_different_tags_can_be_the_same(given: dict[str, str]) -> None:
    def may_repeat(*sets: dict[str, str]) -> bool:
        family = labels.family()
        family.column(tags(*sets))
        return family.may_repeat

    labels = RemoteWriteLabels(given)
    distinct: tuple[dict[str, str], ...] = ({}, {"a.b": "1"}, {"a.b": "2"}, {"c": "1"}, {"a.b": "1", "c": "1"}, {"z/": "1"})
    assert not may_repeat(*distinct)
    assert not labels.may_repeat()
    for sets in (({"a.b": "1"}, {"a_b": "1"}), ({"a.b": "1", "a_b": "1"},), ({"a": ""},)):
        assert may_repeat(*sets)
        assert labels.may_repeat()  # of all families together, from then on
        assert not may_repeat(*distinct)
    assert may_repeat({}, {"g": "1"}) == bool(given)


def test_more_sets_of_keys_than_are_kept_are_told_all_the_same() -> None:
    sets = tags(*[{f"k{i}": "1"} for i in range(1100)])
    data = tm.GaugeData(sets, (0.0,) * 1100, (1.0,) * 1100)
    labels = RemoteWriteLabels({"host": "h"})
    found = [values(request(family("g", "gauge", data), labels=labels)) for _ in range(2)]
    assert found[0] == found[1] == {("g", frozenset({(f"k{i}", "1"), ("host", "h")})): 1.0 for i in range(1100)}
    assert sum(map(len, labels._layouts.values())) <= 1000
    assert labels.may_repeat()  # for all that is known


# Parts


def test_parts_are_some_kilobytes_of_whole_series() -> None:
    data = tm.GaugeData(tags(*[{"i": str(i)} for i in range(5000)]), (0.0,) * 5000, (1.0,) * 5000)
    small = [family(f"g{i}", "gauge", tm.GaugeData(tags({}), (0.0,), (1.0,))) for i in range(500)]
    found = parts(*small, family("g", "gauge", data))
    assert len(series(decoded(found))) == 5500
    assert all(8192 <= len(part) < 65536 for part in found[:-1])


def test_nothing_to_tell_is_no_part() -> None:
    assert parts(family("g", "gauge", tm.GaugeData((), (), ()))) == []
