"""What other libraries tell of their summaries and states, in each format."""

from __future__ import annotations

from math import nan

import pytest
from protobuf_pages import decoded

import tallymark as tm
from tallymark.export import render_protobuf


def snapshot(data: tm.SummaryData | tm.StateSetData, kind: str) -> tm.Snapshot:
    return tm.Snapshot((tm.FamilySnapshot("s", kind, "", "", data),), 0.0)


TAGS = (tm.TagSet(), tm.TagSet(h="x"))
SUMMARY = snapshot(tm.SummaryData(TAGS, (0.0, 0.0), (2, 1), (3.0, 1.0), (((0.5, 1.5), (1.0, nan)), ())), "summary")


def test_quantiles_stand_before_count_and_sum() -> None:
    assert tm.render_prometheus(SUMMARY).decode().splitlines()[1:] == [
        's{quantile="0.5"} 1.5', 's{quantile="1.0"} NaN', "s_sum 3.0", "s_count 2", 's_sum{h="x"} 1.0', 's_count{h="x"} 1'
    ]  # fmt: skip
    assert tm.render_openmetrics(SUMMARY).decode().splitlines()[1:4] == [
        's{quantile="0.5"} 1.5',
        's{quantile="1.0"} NaN',
        "s_count 2",
    ]


def test_quantiles_are_in_protobuf() -> None:
    ((family,),) = [decoded(render_protobuf(SUMMARY))]
    first, second = family.metric
    assert (first.summary.quantile[0].quantile, first.summary.quantile[0].value) == (0.5, 1.5)
    assert len(first.summary.quantile) == 2
    assert len(second.summary.quantile) == 0


def test_of_series_that_become_one_no_quantile_is_known() -> None:
    both = (tm.TagSet({"a.b": "1"}), tm.TagSet({"a_b": "1"}))
    text = tm.render_prometheus(snapshot(tm.SummaryData(both, (0.0, 0.0), (2, 1), (3.0, 1.0), (((0.5, 1.5),),) * 2), "summary"))
    assert text.decode().splitlines()[1:] == ['s_sum{a_b="1"} 4.0', 's_count{a_b="1"} 3']


@pytest.mark.parametrize("key", ["state", "s"])
def test_the_tag_that_names_the_state_has_the_name_of_the_metric_in_openmetrics(key: str) -> None:
    tags = (tm.TagSet({key: "on", "z": "1"}), tm.TagSet({key: "off", "z": "1"}))
    states = snapshot(tm.StateSetData(tags, (0.0, 0.0), (1.0, 0.0), key), "stateset")
    assert tm.render_openmetrics(states).decode().splitlines()[:3] == [
        "# TYPE s stateset",
        's{z="1",s="on"} 1.0',
        's{z="1",s="off"} 0.0',
    ]
    labels = 's="on",z="1"' if key == "s" else 'state="on",z="1"'
    assert tm.render_prometheus(states).decode().splitlines()[1] == f"s{{{labels}}} 1.0"
