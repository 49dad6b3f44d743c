"""Queries for what a registry recorded."""

from __future__ import annotations

from math import inf, isnan
from typing import Any

import pytest

import tallymark as tm
from tallymark.testing import Recorder, RecordingRegistry


def test_a_series_is_found_by_exactly_its_tags(recording: RecordingRegistry) -> None:
    requests = recording.counter("requests")
    requests.inc(2, method="GET")
    requests.inc(method="GET", status="200")
    assert recording.recorded("requests", method="GET").value == 2
    assert recording.recorded("requests", {"method": "GET"}, status=200).value == 1
    assert recording.recorded("requests", status="200", method="GET").tags == {"method": "GET", "status": "200"}
    with pytest.raises(AssertionError, match="no such series"):
        recording.recorded("requests")


def test_histograms_and_timers_have_their_distribution(recording: RecordingRegistry) -> None:
    recording.histogram("size", buckets=[1, 10]).observe(5, route="/")
    recording.timer("latency").record(0.5)
    recording.timer("latency").record(0.25)
    assert recording.recorded("size", route="/").histogram.bucket_counts == (0, 1, 0)
    assert recording.recorded("latency").count == 2
    assert recording.recorded("latency").sum == 0.75
    recording.assert_recorded("latency", 2)
    with pytest.raises(AttributeError, match="histogram"):
        recording.recorded("latency").value


def test_any_keyword_is_a_tag(recording: RecordingRegistry) -> None:
    tags = {"self": "a", "name": "b", "value": "c", "mapping": "d"}
    recording.counter("requests").with_tags(tags).inc()
    assert recording.recorded("requests", **tags).value == 1
    assert recording.total("requests", **tags) == 1
    assert len(recording.matching("requests", **tags)) == 1
    recording.assert_recorded("requests", 1, **tags)
    with pytest.raises(AssertionError):
        recording.assert_not_recorded("requests", **tags)


def test_a_total_sums_all_series_that_have_the_tags(recording: RecordingRegistry) -> None:
    requests = recording.counter("requests")
    requests.inc(2, method="GET")
    requests.inc(3, method="GET", status="200")
    requests.inc(5, method="POST")
    recording.timer("latency").record(1, method="GET")
    assert recording.total("requests", method="GET") == 5
    assert recording.total("requests") == 10
    assert recording.total("requests", method="PUT") == 0
    assert recording.total("latency") == 1
    assert [series.value for series in recording.matching("requests", method="GET")] == [2, 3]


def test_tags_of_the_registry_need_not_be_repeated(engine: Any) -> None:
    registry = RecordingRegistry(tags={"service": "api", "zone": "a"}, engine=engine.name)
    registry.counter("requests").inc(method="GET")
    registry.counter("requests").inc(service="web")
    assert registry.recorded("requests", method="GET").value == 1
    assert registry.recorded("requests", method="GET", service="api").value == 1
    assert registry.recorded("requests", service="web").value == 1
    assert registry.since(registry.mark()).recorded("requests", method="GET").value == 0
    with pytest.raises(AssertionError, match=r"no such series\nnear:\n  requests{method=\"GET\"} = 1"):
        registry.recorded("requests", method="PUT")


def test_a_recorder_asks_any_registry(registry: tm.Registry) -> None:
    registry.counter("requests").inc()
    recorder = Recorder(registry)
    assert recorder.registry is registry
    recorder.assert_recorded("requests", 1)
    with tm.use(registry):
        assert Recorder().registry is registry
    Recorder(tm.NullRegistry()).assert_not_recorded("requests")


def test_a_recording_registry_is_strict_by_default(engine: Any) -> None:
    with pytest.raises(ValueError, match="negative"):
        RecordingRegistry(engine=engine.name).counter("requests").inc(-1)
    RecordingRegistry(engine=engine.name, strict=False).counter("requests").inc(-1)


def test_a_bad_tag_key_in_a_question_is_an_error(recording: RecordingRegistry) -> None:
    for ask in (recording.recorded, recording.total, recording.assert_recorded, recording.assert_not_recorded):
        with pytest.raises(tm.TagError):
            ask("requests", **{"": "x"})


# Since a mark


def test_only_what_came_since_the_mark_is_reported(recording: RecordingRegistry) -> None:
    requests, depth = recording.counter("requests"), recording.gauge("depth")
    requests.inc(3, method="GET")
    depth.set(7)
    before = recording.mark()
    requests.inc(2, method="GET")
    requests.inc(method="POST")
    depth.set(4)
    since = recording.since(before)
    assert since.recorded("requests", method="GET").value == 2
    assert since.recorded("requests", method="POST").value == 1
    assert since.recorded("depth").value == -3
    assert since.total("requests") == 3
    assert recording.recorded("requests", method="GET").value == 5


def test_a_recorder_since_a_mark_goes_on(recording: RecordingRegistry) -> None:
    requests = recording.counter("requests")
    requests.inc()
    since = recording.since(recording.mark())
    since.assert_not_recorded("requests")
    requests.inc()
    since.assert_recorded("requests", 1)
    later = since.since(since.mark())
    requests.inc(4)
    later.assert_recorded("requests", 4)


def test_distributions_since_a_mark(recording: RecordingRegistry) -> None:
    size = recording.histogram("size", buckets=[1, 10, 100])
    size.observe(5)
    size.observe(200)
    before = recording.mark()
    size.observe(0.5)
    size.observe(7)
    size.observe(2, route="/")
    found = recording.since(before).recorded("size")
    assert found.histogram.bucket_counts == (1, 1, 0, 0)
    assert (found.count, found.sum) == (2, 7.5)
    assert found.histogram.min == 0.5  # a new extreme is known
    assert found.histogram.max == 10  # otherwise the edge of the bucket is
    assert 0.5 <= found.histogram.quantile(0.5) <= 10
    assert recording.since(before).recorded("size", route="/").histogram.max == 2


def test_nothing_since_a_mark(recording: RecordingRegistry) -> None:
    recording.histogram("size", buckets=[1]).observe(5)
    recording.gauge("limit").set(inf)
    since = recording.since(recording.mark())
    found = since.recorded("size").histogram
    assert (found.count, found.sum) == (0, 0)
    assert isnan(found.min)
    assert isnan(found.max)
    assert since.recorded("limit").value == 0
    since.assert_not_recorded("size")


def test_a_series_that_came_back_has_started_from_nothing(recording: RecordingRegistry) -> None:
    requests = recording.counter("requests").with_tags(method="GET")
    requests.inc(3)
    before = recording.mark()
    requests.remove()
    requests.inc(1)
    assert recording.since(before).recorded("requests", method="GET").value == 1


def test_a_metric_of_another_kind_under_the_same_name_has_started_from_nothing(recording: RecordingRegistry) -> None:
    recording.counter("requests").inc(3)
    before = recording.mark()
    recording.unregister("requests")
    recording.timer("requests").record(1)
    recording.counter("late").inc()
    assert recording.since(before).recorded("requests").count == 1
    assert recording.since(before).recorded("late").value == 1
