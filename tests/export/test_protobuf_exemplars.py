"""Exemplars in Prometheus' protobuf format."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf_pages import decoded, family, labels_of, only, page, tags, time_of

import tallymark as tm
from tallymark.engine.exemplar import Exemplar

CREATED = 1_700_000_000.25
TRACE = (("trace_id", "4bf92f35"), ("span_id", "é"))


def exemplar(value: float, time: float = CREATED, labels: Any = TRACE) -> Exemplar:
    return Exemplar(labels, value, time)


def shown(message: Any) -> tuple[dict[str, str], float, float]:
    """Return an exemplar as it was recorded."""
    return dict(labels_of(message)), message.value, time_of(message.timestamp)


def test_exemplars_of_counters_come_back() -> None:
    data = tm.SumData(tags({"a": "1"}, {}), (CREATED, 0.0), (3.0, 2.0), True, ((exemplar(2.5),), ()))
    first, second = decoded(page(family(data)))[0].metric
    assert shown(first.counter.exemplar) == (dict(TRACE), 2.5, CREATED)
    assert (first.counter.value, time_of(first.counter.created_timestamp)) == (3.0, CREATED)
    assert not second.counter.HasField("exemplar")


@pytest.mark.slow
@settings(max_examples=80)
@given(st.dictionaries(st.sampled_from(["trace_id", "a", "b_c"]), st.text(max_size=8), max_size=3), st.floats(), st.floats())
def test_any_exemplar_can_be_rendered(given: dict[str, str], value: float, time: float) -> None:
    data = tm.SumData(tags({}), (0.0,), (1.0,), True, ((exemplar(value, time, tuple(given.items())),),))
    made = only(decoded(page(family(data)))).counter.exemplar
    texts = {key: text.encode("utf-8", "replace").decode() for key, text in given.items()}
    assert dict(labels_of(made)) == {key: text for key, text in texts.items() if text}
    assert repr(made.value) == repr(value)
    assert made.HasField("timestamp") == (0 < time < 253402300800)


def test_each_bucket_has_its_newest_exemplar() -> None:
    recorded = (exemplar(0.5), exemplar(1.0, CREATED + 1), exemplar(1.5), exemplar(9.0)), (exemplar(2.0),)
    sums = (1.0, 1.0)
    data = tm.HistogramData(tags({}, {"a": "1"}), (0.0, 0.0), (1.0, 2.0), ((2, 1, 1), (0, 1, 0)), sums, sums, sums, recorded)
    first, second = [metric.histogram.bucket for metric in decoded(page(family(data, "histogram")))[0].metric]
    assert [shown(bucket.exemplar) for bucket in first] == [
        (dict(TRACE), 1.0, CREATED + 1), (dict(TRACE), 1.5, CREATED), (dict(TRACE), 9.0, CREATED),
    ]  # fmt: skip
    assert [bucket.HasField("exemplar") for bucket in second] == [False, True, False]


@pytest.mark.parametrize("classic", [False, True])
def test_exemplars_of_native_histograms_come_back_if_they_have_a_time(classic: bool) -> None:
    recorded = ((exemplar(3.0, CREATED + 1), exemplar(1.5), exemplar(1.5, 0.0)),)
    one = (1.0,)
    data = tm.ExponentialHistogramData(tags({}), one, (0,), (0,), ((0, (2, 1)),), ((0, ()),), one, one, one, recorded)
    made = only(decoded(page(family(data, "histogram"), classic=classic))).histogram
    assert [shown(each) for each in made.exemplars] == [(dict(TRACE), 1.5, CREATED), (dict(TRACE), 3.0, CREATED + 1)]
    in_buckets = [shown(bucket.exemplar)[1] for bucket in made.bucket if bucket.HasField("exemplar")]
    assert in_buckets == ([1.5, 3.0] if classic else [])


def test_twins_share_their_exemplars() -> None:
    twins = tags({"a.b": "1"}, {"a-b": "1"})
    recorded = ((exemplar(1.0),), (exemplar(2.0, CREATED + 1),))
    counter = only(decoded(page(family(tm.SumData(twins, (0.0, 0.0), (1.0, 2.0), True, recorded)))))
    assert (counter.counter.value, counter.counter.exemplar.value) == (3.0, 2.0)
