"""StatsD lines: what each kind of metric becomes, in each dialect."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from itertools import pairwise
from math import inf, nan
from typing import Any

import pytest
from datadog.dogstatsd import DogStatsd
from hypothesis import given
from hypothesis import strategies as st
from statsd_grammar import Sample, read

import tallymark as tm
from tallymark.export.datagrams import TOGETHER, Packer
from tallymark.export.statsd import parts
from tallymark.export.statsd_dialects import DIALECTS, DOGSTATSD, Dialect, TagTexts
from tallymark.export.statsd_distributions import exponential_observations, observations
from tallymark.export.statsd_numbers import number, rate

ALL: dict[str, Dialect] = {**DIALECTS, "dogstatsd": DOGSTATSD}


def written(snapshot: tm.Snapshot, dialect: str = "none", tags: Mapping[str, str] | None = None, **options: Any) -> bytes:
    return b"\n".join(parts(snapshot, TagTexts(ALL[dialect], tags or {}), **options))


def snapshot(*families: tm.FamilySnapshot) -> tm.Snapshot:
    return tm.Snapshot(families, 0.0)


def one(kind: Any, *rows: Any, name: str = "n") -> tm.Snapshot:
    return snapshot(tm.family(kind, name, [row if isinstance(row, tuple) else ({}, row) for row in rows]))


def service() -> tm.Snapshot:
    registry = tm.Registry(self_metrics=False)
    registry.counter("http.requests").inc(3, method="GET", route="/users/{id}")
    registry.counter("http.requests").inc(0.5, method="PUT", route="/users/{id}")
    registry.counter("idle")
    registry.gauge("queue.depth").set(7)
    registry.gauge("balance").set(-2.5, account="main")
    took = registry.timer("took", buckets=(0.125, 1.0))
    # In two buckets, both at three quarters of the way: 2 * 0.109375 + 0.40625 is the sum.
    for seconds in (0.0625, 0.0625, 0.5):
        took.record(seconds, route="/")
    registry.histogram("size", unit="bytes", buckets=(100, 200)).observe(150)
    registry.info("build", version="1.2")
    registry.state("worker", ["up", "down"]).set("up")
    return registry.snapshot()


GOLDEN = {
    "none": b"""\
http.requests.method.GET.route._users__id_:3|c
http.requests.method.PUT.route._users__id_:0.5|c
queue.depth:7|g
balance.account.main:0|g
balance.account.main:-2.5|g
took.route._:109.375|ms|@0.5
took.route._:406.25|ms
size:150|ms
build_info.version.1_2:1|g
worker.state.up:1|g
worker.state.down:0|g""",
    "graphite": b"""\
http.requests;method=GET;route=/users/{id}:3|c
http.requests;method=PUT;route=/users/{id}:0.5|c
queue.depth:7|g
balance;account=main:0|g
balance;account=main:-2.5|g
took;route=/:109.375|ms|@0.5
took;route=/:406.25|ms
size:150|ms
build_info;version=1.2:1|g
worker;state=up:1|g
worker;state=down:0|g""",
    "influxdb": b"""\
http.requests,method=GET,route=/users/{id}:3|c
http.requests,method=PUT,route=/users/{id}:0.5|c
queue.depth:7|g
balance,account=main:0|g
balance,account=main:-2.5|g
took,route=/:109.375|ms|@0.5:406.25|ms
size:150|h
build_info,version=1.2:1|g
worker,state=up:1|g
worker,state=down:0|g""",
    "datadog": b"""\
http.requests:3|c|#method:GET,route:/users/_id_
http.requests:0.5|c|#method:PUT,route:/users/_id_
queue.depth:7|g
balance:0|g|#account:main
balance:-2.5|g|#account:main
took:109.375|ms|@0.5|#route:/
took:406.25|ms|#route:/
size:150|h
build_info:1|g|#version:1.2
worker:1|g|#state:up
worker:0|g|#state:down""",
}
GOLDEN["dogstatsd"] = (
    GOLDEN["datadog"]
    .replace(b"balance:0|g|#account:main\n", b"")
    .replace(b"took:109.375|ms", b"took:0.109375|d")
    .replace(b"took:406.25|ms", b"took:0.40625|d")
    .replace(b"size:150|h", b"size:150|d")
)


@pytest.mark.parametrize("dialect", ALL)
def test_each_kind_of_metric_is_told_as_the_dialect_has_it(dialect: str) -> None:
    assert written(service(), dialect) == GOLDEN[dialect]


def test_lines_for_datadog_are_those_of_its_own_client() -> None:
    client = DogStatsd(disable_telemetry=True, container_id=None, origin_detection_enabled=False)
    tags = {"route": "/users/{id}", "method": "GET", "größe": "a b,c|d:e\nf"}
    registry = tm.Registry(self_metrics=False)
    registry.counter("hits").inc(2.5, **tags)
    registry.gauge("depth").set(-3, **tags)
    registry.histogram("size", buckets=(10,)).observe(4, **tags)
    texts = [f"{key}:{value}" for key, value in sorted(tags.items())]
    theirs = [
        client._serialize_metric(name, kind, value, texts)
        for name, kind, value in (("hits", "c", 2.5), ("depth", "g", -3), ("size", "d", 4))
    ]
    # Theirs leaves the comma and the bar of a tag to split a line; ours replaces them as it replaces the rest.
    assert written(registry.snapshot(), "dogstatsd").decode().split("\n") == theirs


def test_a_summary_is_two_counters() -> None:
    assert written(one("summary", ({"a": "1"}, (3, 4.5)), ({"a": "2"}, (0, 0.0)))) == b"n.count.a.1:3|c\nn.sum.a.1:4.5|c"


def test_a_sum_that_may_fall_is_a_gauge() -> None:
    data = tm.SumData((tm.TagSet(),), (1.0,), (-9.0,), False)
    assert written(snapshot(tm.FamilySnapshot("n", "gauge", "", "", data))) == b"n:0|g\nn:-9|g"


def test_a_counter_that_did_not_change_is_left_out() -> None:
    assert written(one("counter", ({"a": "1"}, 0.0), ({"a": "2"}, 1.0))) == b"n.a.2:1|c"
    assert written(one("counter", 0.0)) == b""


def test_exemplars_are_left_out() -> None:
    registry = tm.Registry(self_metrics=False)
    registry.counter("n").inc(exemplar={"trace_id": "1"})
    assert written(registry.snapshot()) == b"n:1|c"


def test_prefix_and_tags_are_for_all_series_and_those_of_a_series_win() -> None:
    rows = one("counter", ({"env": "test", "b": "2"}, 1.0), ({}, 2.0))
    found = written(rows, "datadog", {"env": "prod", "a": "1"}, prefix="my.")
    assert found == b"my.n:1|c|#a:1,b:2,env:test\nmy.n:2|c|#a:1,env:prod"


def test_a_tag_with_an_empty_value_is_left_out() -> None:
    for dialect, line in {"none": b"n.b.1:1|c", "graphite": b"n;b=1:1|c", "influxdb": b"n,b=1:1|c"}.items():
        assert written(one("counter", ({"a": "", "b": "1"}, 1.0)), dialect) == line
    assert written(one("counter", ({"a": ""}, 1.0)), "datadog") == b"n:1|c"


# Data that the format cannot carry


@pytest.mark.parametrize("kind", ["counter", "gauge"])
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_no_number_is_left_out_and_told_once(kind: str, value: float) -> None:
    told: list[tuple[str, str]] = []
    columns = tuple(tm.TagSet(a=i) for i in (1, 2, 3)), (0.0,) * 3, (value, 5.0, value)
    data = tm.SumData(*columns, True) if kind == "counter" else tm.GaugeData(*columns)
    rows = tm.FamilySnapshot("n", kind, "", "", data)
    assert written(snapshot(rows), dropped=lambda *what: told.append(what)) == f"n.a.2:5|{kind[0]}".encode()
    assert told == [("n", "unsupported_value")]


def test_observations_below_0_reach_only_datadog() -> None:
    for dialect in ALL:
        told: list[tuple[str, str]] = []
        registry = tm.Registry(self_metrics=False)
        histogram = registry.histogram("n", buckets=(0, 10))
        for value in (-3, -3, 5):
            histogram.observe(value)
        found = written(registry.snapshot(), dialect, dropped=lambda *what, told=told: told.append(what))
        samples = read(found, dialect)
        if dialect == "dogstatsd":
            assert sum([sample.value * sample.count for sample in samples]) == pytest.approx(-1)
            assert [sample.count for sample in samples] == [2, 1]
            assert told == []
        else:
            assert [sample.count for sample in samples] == [1]
            assert told == [("n", "unsupported_value")]


def test_names_that_servers_do_not_take_are_changed_and_told() -> None:
    told: list[tuple[str, str]] = []
    dropped = lambda *what: told.append(what)  # noqa: E731
    assert written(one("counter", 1.0, name="a:b/c"), dropped=dropped) == b"a_b_c:1|c"
    # Datadog's server takes these for a service check and an event.
    assert written(one("counter", 1.0, name="_score"), "datadog", dropped=dropped) == b"score:1|c"
    assert written(one("counter", 1.0, name="_e"), "dogstatsd", dropped=dropped) == b"e:1|c"
    assert written(one("counter", 1.0, name="_"), "datadog", dropped=dropped) == b"unnamed:1|c"
    assert told == [("a:b/c", "name"), ("_score", "name"), ("_e", "name"), ("_", "name")]


def test_tags_that_are_changed_are_told_once() -> None:
    told: list[tuple[str, str]] = []
    rows = one("counter", ({"key": "a|b"}, 1.0), ({"key": "ab"}, 1.0), ({"key": "a\nb"}, 1.0))
    texts = TagTexts(DIALECTS["influxdb"], {})
    for _ in range(2):
        found = b"\n".join(parts(rows, texts, dropped=lambda *what: told.append(what)))
        assert found == b"n,key=a_b:1|c\nn,key=ab:1|c\nn,key=a_b:1|c"
    assert told == [("n", "name")]


def test_a_tag_called_name_does_not_replace_the_metrics_name_in_graphite() -> None:
    assert written(one("counter", ({"name": "~x"}, 1.0)), "graphite") == b"n;_name=_x:1|c"


def test_what_is_not_ascii_is_replaced_where_servers_read_seven_bits() -> None:
    texts = TagTexts(DIALECTS["graphite"], {})
    assert b"".join(parts(one("counter", ({"k": "\u028ax"}, 1.0)), texts)) == b"n;k=_x:1|c"
    texts = TagTexts(DIALECTS["datadog"], {}, only_ascii=True)
    found = b"".join(parts(one("counter", ({"é": "\u028aforged:1|c"}, 1.0)), texts))
    assert found == b"n:1|c|#_:_forged:1_c"
    assert read(bytes([byte & 0x7F for byte in found]), "datadog") == [Sample("n", "c", 1.0, 1, {"_": "_forged:1_c"})]


def test_kept_texts_of_series_that_are_gone_are_forgotten() -> None:
    texts = TagTexts(DIALECTS["none"], {})
    for i in range(30):
        rows = one("counter", *[({"a": f"{i}.{j}"}, 1.0) for j in range(100)])
        assert len(b"".join(parts(rows, texts)).split(b"|c")) == 101
        assert len(texts) <= 1300


# Numbers


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_no_exponent_and_is_the_same(value: float) -> None:
    text = number(value)
    assert float(text) == value
    assert set(text) <= set("-.0123456789")
    assert not text.endswith((".0", "."))
    assert text[:1] != "."


def test_numbers_are_short() -> None:
    found = [number(value) for value in (0.0, -0.0, 5.0, -2.5, 1e16, 1.5e22, 1e-5, -1.25e-7, 123456789012345680.0)]
    assert found == ["0", "0", "5", "-2.5", "10000000000000000", "15000000000000000000000", "0.00001", "-0.000000125",
                     "123456789012345680"]  # fmt: skip


@given(st.one_of(st.integers(2, 10**6), st.integers(2, 2**52)))
def test_a_sample_rate_stands_for_its_count(count: int) -> None:
    text = rate(count).removeprefix("|@")
    assert set(text) <= set(".0123456789")
    assert int(1.0 / float(text)) == count  # Go's servers drop what is after the point
    assert 1.0 / float(text) == pytest.approx(count, rel=1e-15)  # that of Node.js does not


def test_sample_rates_of_small_counts_are_those_that_people_expect() -> None:
    assert [rate(count) for count in (1, 2, 4, 5, 10, 20, 100)] == [
        "", "|@0.5", "|@0.25", "|@0.2", "|@0.1", "|@0.05", "|@0.01",
    ]  # fmt: skip


# Distributions


VALUES = st.lists(st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-9), min_size=1, max_size=30)
BOUNDS = (-100.0, 0.0, 1.0, 5.0, 1000.0)


@given(VALUES, VALUES)
def test_counts_are_exact_and_values_add_up_to_the_sum(first: list[float], then: list[float]) -> None:
    registry = tm.Registry()
    histogram = registry.histogram("n", buckets=BOUNDS)
    for value in first:
        histogram.observe(value)
    before = registry.snapshot()
    for value in then:
        histogram.observe(value)
    for data in (before["n"].data, tm.delta(before, registry.snapshot())["n"].data):
        assert isinstance(data, tm.HistogramData)
        [found] = observations(data, slice(0, 1))
        counts = [count for count in data.bucket_counts[0] if count]
        assert [count for count, _ in found] == counts
        slack = 1e-9 * (1 + max(map(abs, [*first, *then])))
        assert sum([count * value for count, value in found]) == pytest.approx(data.sums[0], abs=slack * 60)
        edges = (-inf, *BOUNDS, inf)
        buckets = [bucket for bucket, count in enumerate(data.bucket_counts[0]) if count]
        for bucket, (_, value) in zip(buckets, found, strict=True):
            assert max(edges[bucket], data.mins[0]) - slack <= value <= min(edges[bucket + 1], data.maxs[0]) + slack


def test_one_observation_is_told_as_it_is() -> None:
    registry = tm.Registry(self_metrics=False)
    registry.timer("n").record(0.123)
    registry.timer("n").record(0.25, exemplar={"id": "1"}, a="1")
    assert read(written(registry.snapshot(), "dogstatsd"), "dogstatsd")[0].value == 0.123


@pytest.mark.parametrize("seed", range(20))
def test_exponential_buckets_too(seed: int) -> None:
    rng = random.Random(seed)
    registry = tm.Registry()
    histogram = registry.histogram("n", exponential=True)
    values = [rng.choice((-1, 1, 1)) * rng.lognormvariate(0, 2) for _ in range(50)] + [0.0] * rng.randrange(3)
    for value in values:
        histogram.observe(value)
    data = registry.snapshot()["n"].data
    assert isinstance(data, tm.ExponentialHistogramData)
    [found] = exponential_observations(data, slice(0, 1))
    assert sum([count for count, _ in found]) == len(values)
    assert sum([count * value for count, value in found]) == pytest.approx(sum(values))
    assert [value for _, value in found] == sorted(value for _, value in found)


def test_a_distribution_whose_extremes_nobody_knows_keeps_its_sum() -> None:
    for counts, total in (((0, 0, 2), 50.0), ((1, 0, 1), 30.0), ((2, 0, 0), 1.0), ((1, 1, 0), 2.5), ((0, 3, 0), 14.0)):
        data = tm.HistogramData((tm.TagSet(),), (0.0,), (1.0, 5.0), (counts,), (total,), (nan,), (nan,))
        [found] = observations(data, slice(0, 1))
        assert sum([count * value for count, value in found]) == pytest.approx(total)
        assert sum([count for count, _ in found]) == sum(counts)
    data = tm.HistogramData((tm.TagSet(),), (0.0,), (), ((4,),), (10.0,), (nan,), (nan,))
    assert observations(data, slice(0, 1)) == [[(4, 2.5)]]


def test_a_sum_that_is_no_number_leaves_the_values_in_their_buckets() -> None:
    data = tm.HistogramData((tm.TagSet(),), (0.0,), (1.0, 5.0), ((0, 2, 0),), (nan,), (1.0,), (5.0,))
    assert observations(data, slice(0, 1)) == [[(2, 3.0)]]


@pytest.mark.parametrize("dialect", ["influxdb", "dogstatsd"])
def test_several_observations_share_a_line_as_long_as_there_is_room(dialect: str) -> None:
    registry = tm.Registry(self_metrics=False)
    histogram = registry.histogram("n", buckets=range(1, 100))
    for value in range(1, 100):
        for _ in range(1 + value % 3):
            histogram.observe(value, route="/users")
    found = list(parts(registry.snapshot(), TagTexts(ALL[dialect], {}), most_bytes=200))
    assert max(map(len, found)) <= 200
    samples = [sample for part in found for sample in read(part, dialect)]
    assert sorted([(sample.value, sample.count) for sample in samples]) == [
        (float(value), 1 + value % 3) for value in range(1, 100)
    ]  # fmt: skip
    assert len(b"\n".join(found).split(b"\n")) < 50


# Datagrams


def packed(lines: list[str], most: int, end: bytes = b"") -> tuple[list[bytes], int]:
    packer = Packer(most, end)
    half = len(lines) // 2
    found = [*packer.add("\n".join(lines[:half])), *packer.add("\n".join(lines[half:])), *packer.finish()]
    return found, packer.too_long


@given(st.lists(st.text("abé", min_size=1, max_size=15), max_size=40), st.integers(3, 25), st.sampled_from([b"", b"\n"]))
def test_datagrams_hold_whole_lines_and_no_more_than_they_may(lines: list[str], most: int, end: bytes) -> None:
    found, too_long = packed(lines, most, end)
    fitting = [line for line in lines if len(line.encode() + end) <= most]
    assert [line for part in found for line in part.decode().removesuffix("\n").split("\n")] == fitting
    assert all(len(part) <= most and part.endswith(end) for part in found)
    assert too_long == len(lines) - len(fitting)
    for part, after in pairwise(found if not too_long else ()):  # as full as they can be
        assert len(part) + 1 + len(after.split(b"\n")[0]) > most - len(end)


def test_lines_that_belong_together_are_in_one_datagram() -> None:
    assert packed(["aaaa", f"b{TOGETHER}c"], 6) == ([b"aaaa", b"b\nc"], 0)
    rows = one("gauge", *[({"a": str(i)}, -1.0) for i in range(100)])
    for part in parts(rows, TagTexts(DIALECTS["none"], {}), most_bytes=100):
        lines = part.decode().split("\n")
        assert [line.rpartition(":")[0] for line in lines[::2]] == [line.rpartition(":")[0] for line in lines[1::2]]


def test_a_line_that_no_datagram_holds_is_left_out_and_told() -> None:
    told: list[tuple[str, str]] = []
    rows = snapshot(
        tm.family("counter", "short", [({"a": "x" * 10}, 1.0)]),
        tm.family("counter", "long", [({"a": "x" * 190}, 1.0), ({"a": "y"}, 2.0)]),
        tm.family("counter", "other", [({}, 1.0)]),
    )
    found = list(parts(rows, TagTexts(DIALECTS["none"], {}), most_bytes=64, dropped=lambda *what: told.append(what)))
    assert found == [b"short.a.xxxxxxxxxx:1|c", b"long.a.y:2|c\nother:1|c"]
    assert told == [("long", "too_long")]


def test_many_series_are_told_once_each(registry: tm.Registry) -> None:
    counter = registry.counter("n", limits=tm.TagLimits(max_series=2000))
    for i in range(1500):
        counter.inc(i + 0.5, a=i)
    found = [
        sample for part in parts(registry.snapshot(), TagTexts(DIALECTS["graphite"], {})) for sample in read(part, "graphite")
    ]
    assert {sample.tags["a"]: sample.value for sample in found if sample.name == "n"} == {str(i): i + 0.5 for i in range(1500)}
    assert math.isclose(sum([sample.value for sample in found if sample.name == "n"]), sum(range(1500)) + 750)
