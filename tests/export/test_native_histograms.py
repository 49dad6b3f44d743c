"""Exponential histograms as Prometheus' native ones: each bucket is where the specification has it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf_pages import buckets, decoded, samples, samples_of_text

import tallymark as tm
from tallymark.export.native_histogram import ZERO_THRESHOLD
from tallymark.export.protobuf import render_protobuf

CREATED = 1_700_000_000.25


def exponential(*rows: tuple[int, int, Any, Any], keys: str = "abcdef") -> tm.ExponentialHistogramData:
    """Return series, each of a scale, a count of zeros, and positive and negative buckets."""
    tags = tuple([tm.TagSet({f"k{key}": "1"}) for key, _ in zip(keys, rows, strict=False)])
    scales, zeros, positives, negatives = zip(*rows, strict=True)
    sums = tuple([float(row + 1) for row in range(len(rows))])
    return tm.ExponentialHistogramData(tags, (CREATED,) * len(rows), scales, zeros, positives, negatives, sums, sums, sums)


def snapshot(data: Any) -> tm.Snapshot:
    return tm.Snapshot((tm.FamilySnapshot("n", "histogram", "", "", data),), 0.0)


def metrics(data: Any, **options: Any) -> list[Any]:
    """Return the message `Histogram` of each series."""
    (family,) = decoded(render_protobuf(snapshot(data), **options))
    assert family.type == 4
    return [metric.histogram for metric in family.metric]


def test_the_example_of_the_specification() -> None:
    # Its index is one above OpenTelemetry's.
    (made,) = metrics(exponential((0, 0, (-3, (3, 5, 0, 0, 1, 0, 3, 2)), (0, ()))))
    assert [(span.offset, span.length) for span in made.positive_span] == [(-2, 8)]
    assert list(made.positive_delta) == [3, 2, -5, 0, 1, -1, 3, -1]


def test_three_empty_buckets_end_a_span() -> None:
    (made,) = metrics(exponential((0, 0, (4, (1, 0, 0, 0, 2)), (-2, (1, 0, 0, 2)))))
    assert [(span.offset, span.length) for span in made.positive_span] == [(5, 1), (3, 1)]
    assert list(made.positive_delta) == [1, 1]
    assert [(span.offset, span.length) for span in made.negative_span] == [(-1, 4)]


def test_bytes_of_a_native_histogram() -> None:
    page = render_protobuf(snapshot(exponential((2, 3, (1, (1, 2)), (-4, (1,))))))
    assert page.hex(" ") == (
        "49 0a 01 6e 18 04 22 42"
        " 0a 07 0a 02 6b 61 12 01 31"
        " 3a 37"
        " 08 07"  # 7 observations
        " 11 00 00 00 00 00 00 f0 3f"  # sum: 1
        " 28 04"  # schema: 2
        " 31 01 00 00 00 00 00 00 00"  # zero_threshold: the smallest double above 0
        " 38 03"  # zero_count
        " 4a 04 08 05 10 01 50 02"  # negative: one bucket at -3, which has 1
        " 62 04 08 04 10 02 68 02 68 02"  # positive: two buckets from 2 on, which have 1 and 2
        " 7a 0b 08 80 e2 cf aa 06 10 80 e5 9a 77"  # created
    )


# Against a slow reference

BUCKETS = st.tuples(
    st.integers(-40, 40) | st.integers(-(2**21), 2**21) | st.sampled_from([-(10**30), 10**30]),
    st.lists(st.integers(0, 3) | st.just(2**40), max_size=8).map(tuple),
)
ROWS = st.tuples(st.integers(-4, 20), st.integers(0, 3), BUCKETS, BUCKETS)


def expected(rows: list[tuple[int, int, Any, Any]]) -> tuple[int, int, list[dict[int, int]]]:
    """Return schema, count of zeros, and buckets on both sides, each placed by where it ends."""
    schema = min([8, *[scale for scale, *_ in rows]])
    zeros, sides = sum([row[1] for row in rows]), []
    for side in (2, 3):
        found: dict[int, int] = {}
        for row in rows:
            first, counts = row[side]
            for index, count in enumerate(counts, first):
                ends_at = Fraction(index + 1) / Fraction(2) ** row[0]  # the exponent of 2 of its upper bound
                at = math.ceil(ends_at * Fraction(2) ** schema)
                width = 1 / Fraction(2) ** schema
                if at * width <= -1074:
                    zeros += count
                elif count:
                    at = at if (at - 1) * width < 1024 else math.ceil(1024 / width) + 1
                    found[at] = found.get(at, 0) + count
        sides.append(found)
    return schema, zeros, sides


def check(made: Any, rows: list[tuple[int, int, Any, Any]]) -> None:
    schema, zeros, sides = expected(rows)
    assert (made.schema, made.zero_count, made.zero_threshold) == (schema, zeros, 2.0**-1074)
    for wanted, spans, deltas in zip(
        sides, (made.positive_span, made.negative_span), (made.positive_delta, made.negative_delta), strict=True
    ):
        assert {at: count for at, count in buckets(spans, deltas).items() if count} == wanted
        assert all(-(2**18) <= span.offset <= 2**20 for span in spans)
        assert not [span for span in list(spans)[1:] if span.offset < 3]  # nearer ones are one span
    assert made.sample_count == zeros + sum([sum(side.values()) for side in sides])


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_each_count_is_in_the_bucket_that_its_observations_are_in(rows: list[tuple[int, int, Any, Any]]) -> None:
    data = exponential(*rows)
    for row, made in zip(rows, metrics(data), strict=True):
        check(made, [row])
        assert made.sample_sum in data.sums
        assert made.created_timestamp.seconds == 1_700_000_000


@pytest.mark.slow
@settings(max_examples=100)
@given(st.lists(ROWS, min_size=2, max_size=4))
def test_twins_are_one_native_histogram(rows: list[tuple[int, int, Any, Any]]) -> None:
    (made,) = metrics(exponential(*rows, keys="._-/"))
    check(made, rows)
    assert made.sample_sum == sum(range(1, len(rows) + 1))


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(st.floats(1e-323, 1.7e308), min_size=1, max_size=6), st.integers(-4, 10))
def test_each_observation_is_within_the_bounds_of_its_bucket(values: list[float], scale: int) -> None:
    places = [power_above(Fraction(value), scale) - 1 for value in values]
    rows = [(scale, 0, (index, (places.count(index),)), (0, ())) for index in sorted(set(places))]
    (made,) = metrics(exponential(*rows, keys="._-/:é"))
    wanted: dict[int, int] = {}
    for value in values:
        at = power_above(Fraction(value), min(8, scale))
        wanted[at] = wanted.get(at, 0) + 1
    found = buckets(made.positive_span, made.positive_delta)
    assert {at: count for at, count in found.items() if count} == wanted
    assert (made.zero_count, made.sample_count) == (0, len(values))


def power_above(value: Fraction, scale: int) -> int:
    """Return the least `i` for which a value is not above `2 ** (i * 2 ** -scale)`, exactly."""
    if scale >= 0:
        return _log2(value**2**scale)
    return -(-_log2(value) // 2**-scale)


def _log2(value: Fraction) -> int:
    """Return the logarithm of a value to base 2, rounded up."""
    found = value.numerator.bit_length() - value.denominator.bit_length()
    return found if value <= Fraction(2) ** found else found + 1


# Empty, too wide, too many


def test_a_histogram_without_observations_can_be_told_from_a_classic_one() -> None:
    (made,) = metrics(exponential((20, 0, (0, ()), (0, ()))))
    assert (made.sample_count, made.schema, made.zero_threshold) == (0, 8, ZERO_THRESHOLD)
    assert [(span.offset, span.length) for span in made.positive_span] == [(0, 0)]
    assert (len(made.positive_delta), len(made.bucket)) == (0, 0)


def test_what_is_at_most_the_smallest_double_is_zero_and_what_is_above_the_largest_is_infinite() -> None:
    at_most, above = (-1074 - 1, (5, 6)), (1023, (7, 8, 9))
    (made,) = metrics(exponential((0, 1, at_most, above)))
    assert (made.zero_count, made.sample_count) == (6, 36)
    assert buckets(made.positive_span, made.positive_delta) == {-1073: 6}
    assert buckets(made.negative_span, made.negative_delta) == {1024: 7, 1025: 17}


def test_buckets_that_prometheus_takes_for_too_wide_are_classic_ones() -> None:
    data = exponential((-5, 1, (0, (2,)), (0, ())), (-4, 1, (0, (2,)), (0, ())))
    wide, native = metrics(data)
    assert not wide.HasField("schema")
    assert not [*wide.positive_span, *wide.negative_span]
    assert [bucket.cumulative_count for bucket in wide.bucket] == [1, 1, 3, 3]
    assert (native.schema, len(native.bucket)) == (-4, 0)


def test_counts_that_no_native_histogram_can_hold_are_in_classic_buckets() -> None:
    (made,) = metrics(exponential((0, 0, (0, (2**63,)), (0, ()))))
    assert not made.positive_span
    assert [bucket.cumulative_count for bucket in made.bucket][-1] == 2**63
    (made,) = metrics(exponential((0, 0, (0, (2**63 - 1,)), (0, ()))))
    assert list(made.positive_delta) == [2**63 - 1]


def test_classic_buckets_come_on_request_and_are_those_of_the_text_format() -> None:
    data = exponential((2, 3, (1, (1, 2)), (-4, (1,))), (0, 0, (0, ()), (0, ())))
    assert [len(made.bucket) for made in metrics(data)] == [0, 0]
    both = render_protobuf(snapshot(data), classic=True)
    assert samples(decoded(both)) == samples_of_text(tm.render_prometheus(snapshot(data)))
    for made in [metric.histogram for metric in decoded(both)[0].metric]:
        assert made.positive_span


@pytest.mark.parametrize("classic", [False, True])
def test_one_series_leaves_nothing_to_the_next(classic: bool) -> None:
    rows = [(2, 3, (1, (1, 2)), (-4, (1,))), (-5, 1, (0, (2,)), (0, ())), (0, 0, (0, ()), (0, ())), (8, 0, (5, (1,)), (0, ()))]
    together = metrics(exponential(*rows), classic=classic)
    for row, made in zip(rows, together, strict=True):
        (alone,) = metrics(exponential(row), classic=classic)
        alone.sample_sum = made.sample_sum
        assert made == alone
