"""A page of Prometheus text never has two lines of one name and labels, whatever names and tags become the same."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from tallymark.export import labels
from tallymark.export.escaping import label_name

TWINS = [({"a.b": "1", "a0": "2"}, {"a_b": "1", "a0": "2"}), ({"le": "1", "k": "2"}, {"exported_le": "1", "k": "2"})]


def parsed(text: str) -> dict[tuple[Any, ...], float]:
    """Return each sample by its name and labels; a repeated one is a failure."""
    found: dict[tuple[Any, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, *sorted(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


@pytest.mark.parametrize("twins", TWINS, ids=["key", "le"])
def test_tags_whose_keys_sort_otherwise_than_their_labels_are_one_series(
    registry: tm.Registry, twins: tuple[dict[str, str], ...]
) -> None:
    for tags in twins:
        registry.counter("hits").with_tags(tags).inc(3)
        registry.histogram("size", buckets=[1]).with_tags(tags).observe(0.5)
    found = parsed(tm.render_prometheus(registry.snapshot()).decode())
    counts = [value for key, value in found.items() if key[0] == "size_count"]
    assert counts == [2.0]
    if "le" not in twins[0]:  # which is a label as any other, if not of a histogram
        assert [value for key, value in found.items() if key[0] == "hits_total"] == [6.0]


def exponential(*rows: tuple[int, int, Any, Any]) -> tm.ExponentialHistogramData:
    """Return series whose tags become one label, each of a scale, a count of zeros, and positive and negative buckets."""
    tags = tuple([tm.TagSet({f"a{separator}b": "1"}) for separator, _ in zip("_.-/:", rows, strict=False)])
    scales, zeros, positives, negatives = zip(*rows, strict=True)
    same = (1.0,) * len(rows)
    mins = (math.nan, *[-float(row) for row in range(1, len(rows))])
    return tm.ExponentialHistogramData(
        tags, same, scales, zeros, positives, negatives, same, mins, tuple(map(float, range(len(rows))))
    )


def page_of(data: tm.ExponentialHistogramData) -> dict[tuple[Any, ...], float]:
    family = tm.FamilySnapshot("n", "histogram", "", "", data)
    return parsed(tm.render_prometheus(tm.Snapshot((family,), 0.0)).decode())


def test_exponential_twins_of_different_scales_and_ranges_are_one_series() -> None:
    data = exponential((1, 1, (0, (1, 2, 4)), (0, ())), (0, 0, (2, (8,)), (0, (16,))))
    found = page_of(data)
    buckets = {key[-1][1]: value for key, value in found.items() if key[0] == "n_bucket"}
    # At scale 0, the first has 1 + 2 in (1, 2], and 4 in (2, 4]; the second 8 in (4, 8], and 16 in [-2, -1).
    assert buckets == {"-1.0": 16, "0.0": 17, "1.0": 17, "2.0": 20, "4.0": 24, "8.0": 32, "+Inf": 32}
    assert (found["n_count", ("a_b", "1")], found["n_sum", ("a_b", "1")]) == (32, 2.0)
    both = data.row(0, 1)
    assert (both.min, both.max) == (-1.0, 1.0)


BUCKETS = st.tuples(st.integers(-40, 40), st.lists(st.integers(0, 3), max_size=5).map(tuple))
ROWS = st.tuples(st.integers(-3, 6), st.integers(0, 2), BUCKETS, BUCKETS)


@settings(max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_exponential_twins_count_what_each_of_them_counted(rows: list[tuple[int, int, Any, Any]]) -> None:
    data = exponential(*rows)
    both, alone = data.row(*range(len(rows))), [data.row(row) for row in range(len(rows))]
    assert list(both.bounds) == sorted(set(both.bounds))
    assert both.count == sum([one.count for one in alone])
    for i, bound in enumerate(both.bounds):
        below = sum(both.bucket_counts[: i + 1])
        at_least = sum(
            [sum([n for top, n in zip(one.bounds, one.bucket_counts, strict=False) if top <= bound]) for one in alone]
        )
        assert below >= at_least
        if bound in set.intersection(*[{*one.bounds} for one in alone]):
            assert below == at_least
    assert sum(page_of(data).values()) > 0


# Whatever names, units and keys

STEMS = st.sampled_from(["a", "_", "a.b", "a_b", "a:", "n"])
SUFFIXES = st.sampled_from(
    ["", "_total", ".total", "_count", "_sum", "_bucket", ".bucket", "_created", "_info", "_seconds", "_2"]
)
NAMES = st.builds("{}{}{}".format, STEMS, SUFFIXES, SUFFIXES) | st.sampled_from(
    ["_total", "_count", "_bucket", "total", "info"]
)
UNITS = st.sampled_from(["", "", "seconds", "total", "count", "%"])
KINDS = st.sampled_from(["counter", "gauge", "histogram", "timer", "info", "state"])
KEYS = st.sampled_from(
    ["a.b", "a_b", "a-b", "a0", "le", "exported_le", "exported.le", "quantile", "state", "_", "__", "__name__", "_name__", "Z"]
)
TAGS = st.dictionaries(KEYS, st.sampled_from(["1", "2", "1;2", ""]), max_size=4)
METRICS = st.tuples(KINDS, NAMES, UNITS, st.lists(TAGS, max_size=4))


def record(registry: tm.Registry, kind: str, name: str, unit: str, sets: list[dict[str, str]]) -> None:
    if kind == "info":
        registry.info(name, sets[0] if sets else {})
    elif kind == "state":
        for tags in sets:
            registry.state(name, ["on", "off"], tags=tags).set("on")
    else:
        instrument = getattr(registry, kind)(name, **({} if kind == "timer" else {"unit": unit}))
        method = {"counter": "inc", "gauge": "set", "histogram": "observe", "timer": "record"}[kind]
        for tags in sets:
            getattr(instrument.with_tags(tags), method)(1)


@pytest.mark.slow
def test_no_two_lines_have_one_name_and_labels(engine: Any) -> None:
    pages: list[str] = []

    @settings(max_examples=150)
    @given(st.lists(METRICS, max_size=6, unique_by=lambda metric: metric[1]))
    def check(metrics: list[tuple[str, str, str, list[dict[str, str]]]]) -> None:
        pages.append(checked_page(engine, metrics))

    check()
    check_with_promtool(pages)


def checked_page(engine: Any, metrics: list[tuple[str, str, str, list[dict[str, str]]]]) -> str:
    """Return the page of some metrics, of which each line has a name and labels of its own, and no count is lost."""
    registry = tm.Registry(engine=engine.name)
    expected = 0
    for kind, name, unit, sets in metrics:
        try:
            record(registry, kind, name, unit, sets)
        except tm.MetricConflictError:
            continue  # `info` adds an ending to its name
        expected += len(sets) if kind == "counter" else 0
    text = tm.render_prometheus(registry.snapshot()).decode()
    found = parsed(text)
    types = dict([line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE")])
    assert len(types) == text.count("# TYPE")
    totals = {key: value for key, value in found.items() if types.get(str(key[0])) == "counter"}
    assert sum(totals.values()) == expected  # none was lost
    return text


def check_with_promtool(pages: list[str]) -> None:
    """Let Prometheus' own parser read pages: all at once, since it is a program, each with names of its own."""
    promtool = shutil.which("promtool")
    if promtool is None:  # it is a program of its own, and seldom here
        return
    text = "".join([re.sub(r"(?m)^(# \w+ )?(.)", rf"\g<1>\g<2>p{i}_", page) for i, page in enumerate(pages)])
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr  # 3: it dislikes a name


def test_what_another_thread_found_out_of_texts_that_are_not_exact_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(key: str, scheme: str) -> str:  # what another thread does at the worst moment
        if key == "exact" and not others:
            others.append(tm.TagSet({"not.exact.meanwhile": "1"}))
            labels.Labels("underscores").texts(others)
        return label_name(key, scheme)

    others: list[tm.TagSet] = []
    monkeypatch.setattr(labels, "_exact", True)
    monkeypatch.setattr(labels, "label_name", name)
    made = labels.Labels("underscores").texts([tm.TagSet(exact="while another is not")])
    assert labels.may_repeat(made * 2)
