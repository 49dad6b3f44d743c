"""Reading pages of Prometheus' protobuf format, with the protobuf runtime."""

from __future__ import annotations

import math
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from tallymark.export.protobuf import render_protobuf
from tallymark.export.protobuf_messages import MetricFamily

KINDS = {0: "counter", 1: "gauge", 2: "summary", 4: "histogram"}


def decoded(page: bytes) -> list[Any]:
    """Return the families of a page, each of which comes after its length."""
    families, at = [], 0
    while at < len(page):
        length = shift = 0
        more = True
        while more:
            length |= (page[at] & 127) << shift
            more = page[at] > 127
            at, shift = at + 1, shift + 7
        assert at + length <= len(page)
        families.append(MetricFamily.FromString(page[at : at + length]))
        at += length
    return families


def samples(families: list[Any]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return what Prometheus stores of families without native histograms: values by name and labels, none twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in families:
        for metric in family.metric:
            labels = [(pair.name, pair.value) for pair in metric.label]
            assert labels == sorted(dict(labels).items())
            for ending, more, value in _values(KINDS[family.type], metric):
                key = family.name + ending, frozenset([*labels, *more])
                assert key not in found
                found[key] = value
    return found


def _values(kind: str, metric: Any) -> list[tuple[str, list[tuple[str, str]], float]]:
    assert [field.name for field, _ in metric.ListFields() if field.name != "label"] == [kind]
    held = getattr(metric, kind)
    if kind in ("counter", "gauge"):
        return [("", [], held.value)]
    made: list[Any] = [("_sum", [], held.sample_sum), ("_count", [], float(held.sample_count))]
    if kind == "histogram":
        made += [("_bucket", [("le", _bound(b.upper_bound))], float(b.cumulative_count)) for b in held.bucket]
    return made


def _bound(bound: float) -> str:
    return "+Inf" if bound == math.inf else repr(bound)


def samples_of_text(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the same of a page of text."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def buckets(spans: Any, deltas: Any) -> dict[int, int]:
    """Return the counts of native buckets by their index, as Prometheus' specification reads spans and deltas."""
    found: dict[int, int] = {}
    left, index, count = list(deltas), 0, 0
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += left.pop(0)
            found[index] = count
            index += 1
    assert not left
    return found


def family(data: Any, kind: str = "counter", name: str = "n", description: str = "", unit: str = "") -> tm.FamilySnapshot:
    return tm.FamilySnapshot(name, kind, description, unit, data)


def page(*families: tm.FamilySnapshot, **options: Any) -> bytes:
    return render_protobuf(tm.Snapshot(families, 0.0), **options)


def tags(*sets: dict[str, str]) -> tuple[tm.TagSet, ...]:
    return tuple([tm.TagSet(each) for each in sets])


def only(families: list[Any]) -> Any:
    """Return the only message `Metric` of the only family."""
    ((metric,),) = [each.metric for each in families]
    return metric


def labels_of(metric: Any) -> tuple[tuple[str, str], ...]:
    return tuple([(pair.name, pair.value) for pair in metric.label])


def time_of(timestamp: Any) -> float:
    return float(timestamp.seconds + timestamp.nanos / 1e9)
