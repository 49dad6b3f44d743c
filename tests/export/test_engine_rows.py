"""Rows that the native engine writes are, byte for byte, those that the exporter writes."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tallymark as tm
from tallymark.engine import load_engine
from tallymark.engine.reference.exposition import Exposition as ReferenceExposition
from tallymark.export.escaping import label_name
from tallymark.export.text import bucket_columns
from tallymark.frozen import replace
from tallymark.serve.live import rows as live

EXPONENTIAL = ("scales", "zero_counts", "positives", "negatives", "sums")
KEYS = st.sampled_from(
    ["a", "b", "a.b", "a_b", "a-b", "__a", "___a", "U__a", "U__", "_", "le", "exported_le", "z9", "ключ", "k" * 200]
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "\\", '"', "\n", "x\ny", "\\n", "\x00", "é", "ключ", "中文", "🙂", "\udc80", "a" * 300, "é" * 300]),
)
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**60), 2**60).map(float),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, 5e-324]),
)
KINDS = st.sampled_from(["c", "g", "h", "t", "e", "e", "u", "i", "s"])
EXEMPLARS = st.none() | st.dictionaries(st.sampled_from(["trace_id", "span"]), TEXTS, max_size=2)
RECORDS = st.lists(st.tuples(KINDS, st.dictionaries(KEYS, TEXTS, max_size=3), NUMBERS, EXEMPLARS), max_size=30)


def twin_of(snapshot: tm.Snapshot) -> tm.Snapshot:
    """Return the same with columns that no engine knows."""
    twin: tm.Snapshot = pickle.loads(pickle.dumps(snapshot))
    return twin


FORMATS: dict[str, Callable[[tm.Snapshot], bytes]] = {
    "prometheus": tm.render_prometheus,
    "prometheus, UTF-8": partial(tm.render_prometheus, escaping="allow-utf-8"),
    "prometheus, dots": partial(tm.render_prometheus, escaping="dots"),
    "prometheus, values": partial(tm.render_prometheus, escaping="values"),
    "openmetrics": tm.render_openmetrics,
    "openmetrics, created": partial(tm.render_openmetrics, created=True),
    "openmetrics, UTF-8": partial(tm.render_openmetrics, created=True, escaping="allow-utf-8"),
}


def assert_as_the_exporter(snapshot: tm.Snapshot) -> None:
    """Compare what the engine had a part in with what the exporter writes of columns that no engine knows."""
    twin = twin_of(snapshot)
    for name, render in FORMATS.items():
        assert render(snapshot) == render(twin), name


def recorded(records: Any) -> tm.Registry:
    registry = tm.Registry(engine="native", limits=tm.TagLimits(max_value_length=400, max_key_length=300))
    counter, gauge = registry.counter("c.d", description='Quotes " and\nlines.', unit="bytes"), registry.gauge("g")
    histogram, timer = registry.histogram("h", buckets=[-1, 0.1, 5, 1e17]), registry.timer("t.u")
    exponential, quick = registry.histogram("e", exponential=True), registry.timer("u.v", exponential=True)
    for kind, tags, value, exemplar in records:
        given: Any = {} if exemplar is None else {"exemplar": exemplar}
        match kind:
            case "c":
                counter.with_tags(tags).inc(abs(value), **given)
            case "g":
                gauge.with_tags(tags).set(value)
            case "h":
                histogram.with_tags(tags).observe(value, **given)
            case "t":
                timer.with_tags(tags).record(abs(value), **given)
            case "e":
                exponential.with_tags(tags).observe(value, **given)
            case "u":
                quick.with_tags(tags).record(abs(value), **given)
            case "i":
                registry.info("i", {"build": "1", **{key: value for key, value in tags.items() if key != "le"}})
            case "s":
                registry.state("s", ("on", "off")).set("on")
    return registry


@given(RECORDS)
def test_any_registry_is_written_as_the_exporter_writes_it(records: Any) -> None:
    assert_as_the_exporter(recorded(records).snapshot())


def many(series: int, **same: str) -> tm.Registry:
    registry = tm.Registry(engine="native", limits=tm.TagLimits(max_series=series + 1))
    for i in range(series):
        registry.counter("c").inc(i / 3, i=i, **same)
        registry.histogram("h", buckets=[0.1, 1]).observe(i / 1000, route=f"/{i}" * (i % 5), i=i)
        registry.histogram("e", exponential=True).observe(i / 7 - 50, i=i)
    return registry


@pytest.mark.parametrize("key", ["U__", "U__a"])
def test_a_key_that_looks_escaped_is_not_taken_for_another(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = tm.Registry(engine="native", self_metrics=False)
    registry.counter("c").inc(**{key: "1"})
    snapshot = registry.snapshot()
    for is_first in (True, False):  # whatever this process wrote before
        monkeypatch.setattr("tallymark.export.labels._exact", is_first)
        for one in (snapshot, twin_of(snapshot)):
            [line] = tm.render_prometheus(one, escaping="values").decode().splitlines()[1:]
            assert line == f'c_total{{{label_name(key, "values")}="1"}} 1.0'


@pytest.mark.parametrize("series", [1, 1023, 1025, 3000])
def test_many_rows(series: int) -> None:
    assert_as_the_exporter(many(series).snapshot())


def test_the_engine_writes_rows_whose_keys_are_no_label_names() -> None:
    registry = tm.Registry(engine="native")
    registry.counter("c").inc(**{"http.method": "GET", "http.route": "/"})
    registry.counter("c").inc(**{"http.method": "GET"})
    assert writes(registry.snapshot()["c"].data)


@pytest.mark.parametrize(
    "tags",
    [[{"a.b": "1"}, {"a_b": "1"}], [{"a.b": "1", "a_b": "2"}], [{"a": ""}], [{f"k{i}": "v" for i in range(33)}]],
    ids=["two of a name", "two in one", "an empty value", "many tags"],
)
def test_the_engine_leaves_rows_that_may_become_the_same_to_the_exporter(tags: Any) -> None:
    registry = tm.Registry(engine="native", limits=tm.TagLimits(max_tags=40))
    for one in tags:
        registry.counter("c").with_tags(one).inc()
    snapshot = registry.snapshot()
    assert not writes(snapshot["c"].data)
    assert_as_the_exporter(snapshot)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e8, 1e8), max_size=30))
@example([5e-324, -5e-324, 0.0, 1.0])  # a bound is -0.0
@example([1.7e308, -1.7e308, 5e-324])  # the last bound is infinite
@example([1e6, 1234567.5, 9e15, 1e16, 1e17])  # from where and up to where OpenMetrics writes bounds with an exponent of its own
@example([-1e6, -9.5e15])
@example([])
def test_the_engine_writes_any_exponential_buckets(values: list[float]) -> None:
    registry = tm.Registry(engine="native", self_metrics=False)
    histogram = registry.histogram("e", exponential=True)
    for value in values:
        histogram.observe(value)
        histogram.observe(value / 3, k="v")
    snapshot = registry.snapshot()
    data: Any = snapshot["e"].data
    exposition = load_engine("native").Exposition()
    lines = (("e_count", "e_count{", data.positives),)
    assert exposition.write_exponential_buckets(data.tags, bucket_columns(data), "e_bucket{", lines, "underscores", False)
    assert_as_the_exporter(snapshot)


def rendered_by_the_engine(snapshot: tm.Snapshot, name: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return a snapshot in a format, of which the exporter writes no row."""
    with monkeypatch.context() as patch:
        patch.setattr("tallymark.export.prometheus._rows", None)
        patch.setattr("tallymark.export.openmetrics._rows", None)
        return FORMATS[name](snapshot)


@pytest.mark.parametrize("step", [1, 7])
def test_the_engine_writes_rows_with_exemplars(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At one time, too, when the last of a bucket is written."""
    registry = tm.Registry(engine="native", self_metrics=False, limits=tm.TagLimits(max_series=2000))
    registry._families.hooks = replace(registry._families.hooks, now=lambda: 7.0)
    counter, histogram = registry.counter("c"), registry.histogram("h", buckets=[-1, 0, 1e6])
    exponential = registry.timer("t", exponential=True), registry.histogram("e", exponential=True)
    for i in range(1100):
        given: Any = {"exemplar": {"n": str(i)}} if i % 100 % step == 0 else {}
        counter.inc(i=i, **given)
        for j in range(3):
            histogram.observe((j - 1) * i, i=i % 50, **given)
            exponential[0].record(1.7**i % (j + 2), i=i % 30, **given)
            exponential[1].observe((j - 1) * 1.01 ** (i % 90), i=i % 30, **given)
    snapshot = registry.snapshot()
    twin = twin_of(snapshot)
    for name in ("prometheus", "prometheus, UTF-8", "openmetrics", "openmetrics, created", "openmetrics, UTF-8"):
        text = rendered_by_the_engine(snapshot, name, monkeypatch)
        assert text == FORMATS[name](twin), name
        assert (text.count(b" # {") > 500 / step) == name.startswith("openmetrics")


def writes(data: Any) -> bool:
    return bool(load_engine("native").Exposition().write_numbers(data.tags, (("n", "n{", data.values),), "underscores"))


def test_columns_that_were_replaced_are_written_as_they_are() -> None:
    registry = tm.Registry(engine="native", self_metrics=False)
    readings = []
    for value in (0.5, -7.0, 0.0, 300.0):
        registry.histogram("e", exponential=True).observe(value)
        registry.histogram("h", buckets=[1, 10]).observe(value)
        readings.append(registry.snapshot())
    first, *_, last = readings
    difference = tm.delta(first, last)
    for source, (name, columns) in product((first, difference), (("e", EXPONENTIAL), ("h", ("bucket_counts", "sums")))):
        for column in columns:
            data: Any = replace(last[name].data, **{column: getattr(source[name].data, column)})
            changed = replace(last, families=(replace(last[name], data=data),))
            assert_as_the_exporter(changed)
            by_engine, by_python = load_engine("native").Exposition(), ReferenceExposition()
            for text in (by_engine, by_python):
                live.write_rows(text, data, last[name].data, 9)
                live.write_rows(text, data, None, 9)
            assert by_engine.bytes() == by_python.bytes()
            assert live.total_text(data) == live.total_text(twin_of(changed)[name].data)


def test_the_engine_writes_no_rows_that_are_not_its_own() -> None:
    one, other = many(3).snapshot(), many(3).snapshot()
    exposition = load_engine("native").Exposition()
    c, h = one["c"].data, one["h"].data
    for tags, numbers in ((c.tags, other["c"].data.values), (c.tags, (1.0, 2.0, 3.0)), (tuple(c.tags), c.values),
                          (c.values, c.tags), (h.tags, c.values), (h.tags, h.sums), (c.tags, c.tags)):  # fmt: skip
        assert exposition.write_numbers(tags, (("n", "n{", numbers),), "underscores") is False
    assert exposition.write_numbers(c.tags, (), "underscores") is False
    assert exposition.write_numbers(c.tags, (("n", "n{", c.values),), "dots") is False
    assert exposition.write_numbers(c.tags, (("n", "\udc80{", c.values),), "underscores") is False
    for edges, line in ((("a", "b", "c"), c.values), (("a", "b"), h.sums), (("a", "b", "c"), h.mins)):
        assert (
            exposition.write_buckets(h.tags, h.bucket_counts, "n{", edges, (("n", "n{", line),), "underscores", False) is False
        )
    e = one["e"].data
    whole, others = bucket_columns(e), bucket_columns(other["e"].data)
    mixed = [(*whole[:i], others[i], *whole[i + 1 :]) for i in range(4)]
    for tags, buckets, line in ((e.tags, others, e.sums), (e.tags, whole[::-1], e.sums), (e.tags, whole[:3], e.sums),
                                (h.tags, (h.bucket_counts,), h.sums), (e.tags, whole, h.sums), (e.tags, whole, e.scales),
                                (tuple(e.tags), whole, e.sums), *[(e.tags, one, e.sums) for one in mixed]):  # fmt: skip
        lines = (("n", "n{", line),)
        assert exposition.write_exponential_buckets(tags, buckets, "n{", lines, "underscores", False) is False
    assert exposition.write_buckets(e.tags, e.positives, "n{", ("a",) * 5, (), "underscores", False) is False
    notes = ((0, 0, 0, " # {}"), (1, 0, 0, "\udc80"))
    assert exposition.write_numbers(c.tags, (("n", "n{", c.values),), "underscores", notes) is False
    assert exposition.bytes() == b""


def test_a_row_has_several_lines() -> None:
    data = many(2).snapshot()["c"].data
    exposition = load_engine("native").Exposition()
    exposition.write("# head\n")
    lines = (("n", "n{", data.values), ("n_created", "n_created{", data.created), ("n_info", '{"n_info",', "1"))
    assert exposition.write_numbers(data.tags, lines, "allow-utf-8")
    first, second = data.created
    assert exposition.bytes().decode() == (
        f'# head\nn{{i="0"}} 0.0\nn_created{{i="0"}} {first!r}\n{{"n_info",i="0"}} 1\n'
        f'n{{i="1"}} {1 / 3!r}\nn_created{{i="1"}} {second!r}\n{{"n_info",i="1"}} 1\n'
    )
    assert exposition.bytes() == b""


def test_a_time_that_nobody_knows_has_no_line() -> None:
    registry = tm.Registry(engine="native")
    times = iter([1.0, 0.0, math.inf, 5.0, -1.0, *[7.0] * 99])  # the first is that of the family
    registry._families.hooks = replace(registry._families.hooks, now=lambda: next(times))
    counter = registry.counter("c")
    for i in range(5):
        counter.inc(i=i)
    snapshot = registry.snapshot()
    assert set(snapshot["c"].data.created) >= {0.0, math.inf, 5.0}
    assert_as_the_exporter(snapshot)


@pytest.mark.parametrize(
    "call",
    [lambda it, data: it.write(b"x"), lambda it, data: it.write_numbers(data.tags, ["n"], "underscores"),
     lambda it, data: it.write_numbers(data.tags, (("n",),), "underscores"),
     lambda it, data: it.write_numbers(data.tags, (("n", 1, data.values),), "underscores"),
     lambda it, data: it.write_numbers(data.tags, ((["n", "n{", data.values]),), "underscores"),
     lambda it, data: it.write_numbers(data.tags, (("n", "n{", data.values),)),
     lambda it, data: it.write_numbers(data.tags, (("n", "n{", data.values),), "underscores", [1]),
     lambda it, data: it.write_numbers(data.tags, (("n", "n{", data.values),), "underscores", (1,)),
     lambda it, data: it.write_numbers(data.tags, (("n", "n{", data.values),), "underscores", ((0, 0, " #"),))],
)  # fmt: skip
def test_a_wrong_call_writes_nothing(call: Any) -> None:
    exposition = load_engine("native").Exposition()
    with pytest.raises(TypeError):
        call(exposition, many(1).snapshot()["c"].data)
    assert exposition.bytes() == b""


def test_a_lone_surrogate_is_replaced() -> None:
    expositions = [load_engine(name).Exposition() for name in ("native", "reference")]
    for one in expositions:
        one.write("a\udc80é")
    assert {one.bytes() for one in expositions} == {"a?é".encode()}


def test_threads_that_render_one_snapshot_for_the_first_time_write_the_same() -> None:
    snapshot = many(3000).snapshot()
    barrier, bodies = threading.Barrier(4), []

    def render() -> None:
        barrier.wait()
        bodies.append(tm.render_prometheus(snapshot))

    threads = [threading.Thread(target=render) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(bodies) == {tm.render_prometheus(twin_of(snapshot))}
