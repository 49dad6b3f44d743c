"""A prefix and tags that a backend adds: to every name and series, and never two series with the same tags."""

from __future__ import annotations

import math
from typing import Any

import protobuf_pages
import pytest
from prometheus_client.parser import text_string_to_metric_families

import tallymark as tm
from everything import everything, family, tags
from tallymark.engine.exemplar import Exemplar
from tallymark.export.protobuf import render_protobuf
from tallymark.export.relabelling import Relabelling
from tallymark.export.tagged_page import TaggedPage


def test_nothing_to_add_changes_nothing() -> None:
    snapshot = everything()
    assert Relabelling("", {}).relabelled(snapshot) is snapshot


def test_names_get_the_prefix_in_prometheus_too(registry: tm.Registry) -> None:
    registry.counter("http.requests").inc()
    registry.timer("took").record(1)
    registry.counter("a.b").inc()
    registry.counter("a_b").inc(2)
    snapshot = registry.snapshot()
    for one in Relabelling("app.", {}).relabelled(snapshot).families:
        own = snapshot[one.name.removeprefix("app.")]
        assert (one.name, one.exposition_name) == (f"app.{own.name}", f"app_{own.exposition_name}")
        assert one.data == own.data
    text = tm.render_prometheus(Relabelling("app.", {}).relabelled(snapshot))
    assert {one.name for one in text_string_to_metric_families(text.decode())} >= {"app_a_b", "app_a_b_2", "app_took_seconds"}


def test_a_family_is_left_as_it_is_where_no_labels_become_the_same(registry: tm.Registry) -> None:
    for path in ("/a", "/b"):
        registry.counter("own").inc(host=path, path=path)
        registry.counter("others").inc(path=path)
    snapshot = registry.snapshot()
    relabelled = Relabelling("", {"host": "h"}).relabelled(snapshot)
    assert all(relabelled[name].data.tags is snapshot[name].data.tags for name in ("own", "others"))


@pytest.mark.parametrize(
    ("given", "own", "wanted"),
    [
        ({"a.b": "1"}, {"a_b": "2"}, 'a_b="1;2"'),
        ({"a.b": "1", "a_b": "3"}, {"a_b": "2"}, 'a_b="1;2"'),
        ({"le": "1"}, {"exported_le": "2"}, 'exported_le="2",le="1"'),
        ({"a.b": "1"}, {"a.b": ""}, ""),
        ({"b": "1"}, {"a": "x"}, 'a="x",b="1"'),
    ],
)
def test_tags_that_are_one_label_have_all_values(engine: Any, given: dict[str, str], own: dict[str, str], wanted: str) -> None:
    registry = tm.Registry(engine=engine.name, self_metrics=False)
    registry.counter("c").with_tags(own).inc()
    told = Relabelling("", given).relabelled(registry.snapshot())
    want = [f"c_total{{{wanted}}} 1.0" if wanted else "c_total 1.0"]
    assert TaggedPage(given).render(told).decode().splitlines()[1:] == want
    assert protobuf_pages.samples(protobuf_pages.decoded(render_protobuf(told, tags=given))) == samples_of_text(want)


def samples_of_text(lines: list[str]) -> Any:
    return protobuf_pages.samples_of_text("".join([f"{line}\n" for line in ["# TYPE c_total counter", *lines]]).encode())


SEEN = (Exemplar((), 0.5, 1.0), Exemplar((), 0.6, 2.0), Exemplar((), 5.0, 3.0))


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (tm.SumData(tags({"a": "1"}, {}), (5.0, 3.0), (1.0, 2.0), True), {"values": (3.0,), "created": (3.0,)}),
        (tm.SumData(tags({"a": "1"}, {}), (0.0, 3.0), (1.0, 2.0), False), {"values": (2.0,), "created": (3.0,)}),
        (tm.GaugeData(tags({"a": "1"}, {}), (0.0, 0.0), (1.0, 2.0)), {"values": (2.0,), "created": (0.0,)}),
        (tm.StateSetData(tags({"a": "1"}, {}), (0.0, 0.0), (1.0, 0.0)), {"values": (0.0,)}),
        (tm.InfoData(tags({"a": "1"}, {}), (4.0, 5.0)), {"created": (4.0,)}),
        (
            tm.SummaryData(tags({"a": "1"}, {}), (0.0, 0.0), (1, 2), (0.5, 0.25), (((0.5, 1.0),), ((0.5, 2.0),))),
            {"counts": (3,), "sums": (0.75,), "quantiles": ((),)},
        ),
        (
            tm.HistogramData(
                tags({"a": "1"}, {}), (0.0, 0.0), (1.0,), ((1, 0), (1, 1)), (0.5, 5.5), (0.5, 0.6), (0.5, 5.0),
                (SEEN[:1], SEEN[1:]),
            ),
            {"bucket_counts": ((2, 1),), "sums": (6.0,), "mins": (0.5,), "maxs": (5.0,), "exemplars": (SEEN[1:],)},
        ),
        (
            tm.ExponentialHistogramData(
                tags({"a": "1"}, {}), (0.0, 0.0), (1, 0), (1, 0), ((0, (2, 4)), (0, (1,))), ((0, ()), (0, ())), (9.0, 1.5),
                (math.nan, 1.5), (2.0, 1.5),
            ),
            {"scales": (0,), "zero_counts": (1,), "positives": ((0, (7,)),), "sums": (10.5,), "maxs": (2.0,)},
        ),
    ],
    ids=["counter", "sum", "gauge", "states", "info", "summary", "histogram", "exponential"],
)  # fmt: skip
def test_series_that_become_one_are_told_as_one(data: Any, wanted: dict[str, Any]) -> None:
    snapshot = Relabelling("", {"a": "1"}).relabelled(tm.Snapshot((family("m", "any", data),), 1.0))
    made = snapshot["m"].data
    assert type(made) is type(data)
    assert made.tags == tags({"a": "1"})
    assert {name: getattr(made, name) for name in wanted} == wanted


def test_of_series_that_are_one_in_a_format_too_the_last_stays() -> None:
    data = tm.GaugeData(tags({"a.b": "1", "host": "h"}, {"a_b": "1"}, {"a.b": "1"}), (0.0,) * 3, (1.0, 2.0, 3.0))
    relabelled = Relabelling("", {"host": "h"}).relabelled(tm.Snapshot((family("g", "gauge", data),), 1.0))
    assert b'g{a_b="1",host="h"} 3' in TaggedPage({"host": "h"}).render(relabelled)


def test_a_summary_keeps_its_quantiles_where_others_become_one() -> None:
    quantiles = (((0.5, 1.0),), ((0.5, 2.0),), ((0.5, 3.0),))
    data = tm.SummaryData(tags({"a": "1"}, {}, {"b": "2"}), (0.0,) * 3, (1, 2, 3), (0.5, 0.25, 1.0), quantiles)
    made = Relabelling("", {"a": "1"}).relabelled(tm.Snapshot((family("m", "summary", data),), 1.0))["m"].data
    assert made.quantiles == ((), ((0.5, 3.0),))


def test_everything_can_be_relabelled() -> None:
    told = Relabelling("app.", {"host": "h"}).relabelled(everything())
    text = TaggedPage({"host": "h"}).render(told).decode()
    for one in text_string_to_metric_families(text):
        assert one.name.startswith("app_")
        assert {sample.labels["host"] for sample in one.samples} == {"h"}
