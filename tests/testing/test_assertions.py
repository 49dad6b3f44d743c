"""What assertions accept, and the exact messages of those that fail."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest

import tallymark as tm
from tallymark.testing import RecordingRegistry
from tallymark.testing.current import DEFAULT


@pytest.fixture
def service(recording: RecordingRegistry) -> RecordingRegistry:
    """A registry in which a service has recorded."""
    requests = recording.counter("requests")
    requests.inc(3, method="GET")
    requests.inc(2, method="POST")
    requests.inc(method="GET", status="200")
    recording.counter("http_requests").inc()
    recording.timer("latency").record(0.01, route="/")
    recording.timer("latency").record(0.02, route="/")
    return recording


def failure(ask: Callable[..., object], *args: Any, **tags: Any) -> str:
    """Return the message of an assertion that fails."""
    with pytest.raises(AssertionError) as caught:
        ask(*args, **tags)
    return str(caught.value)


def test_what_holds_is_accepted(service: RecordingRegistry) -> None:
    service.assert_recorded("requests", 3, method="GET")
    service.assert_recorded("requests", pytest.approx(3.0000001), method="GET")
    service.assert_recorded("requests", method="GET")
    service.assert_recorded("latency", 2, route="/")
    service.assert_not_recorded("requests", method="PUT")
    service.assert_not_recorded("no_such_metric")


def test_a_series_that_holds_nothing_was_not_recorded_to(recording: RecordingRegistry) -> None:
    recording.counter("requests").with_tags(method="GET")
    recording.timer("latency")
    recording.assert_not_recorded("requests")
    recording.assert_not_recorded("latency")
    recording.assert_recorded("requests", 0, method="GET")
    assert failure(recording.assert_recorded, "latency") == "latency{}: expected a record, but it is 0 observations"


def test_another_value(service: RecordingRegistry) -> None:
    assert failure(service.assert_recorded, "requests", 2, method="GET") == (
        'requests{method="GET"}: expected 2, but it is 3\n'
        "near:\n"
        '  requests{method="POST"} = 2               (method="POST", not "GET")\n'
        '  requests{method="GET", status="200"} = 1  (also status="200")'
    )
    assert failure(service.assert_recorded, "latency", 3.0, route="/") == (
        'latency{route="/"}: expected 3, but it is 2 observations'
    )


def test_other_tags(service: RecordingRegistry) -> None:
    assert failure(service.assert_recorded, "requests", 2, method="PUT") == (
        'requests{method="PUT"}: expected 2, but there is no such series\n'
        "near:\n"
        '  requests{method="GET"} = 3                (method="GET", not "PUT")\n'
        '  requests{method="POST"} = 2               (method="POST", not "PUT")\n'
        '  requests{method="GET", status="200"} = 1  (method="GET", not "PUT"; also status="200")\n'
        '  http_requests{} = 1                       (other name; no method="PUT")'
    )


def test_another_name(service: RecordingRegistry) -> None:
    assert failure(service.recorded, "request", method="POST") == (
        'request{method="POST"}: expected a series, but there is no such series\n'
        "near:\n"
        '  requests{method="POST"} = 2               (other name)\n'
        '  requests{method="GET"} = 3                (other name; method="GET", not "POST")\n'
        '  requests{method="GET", status="200"} = 1  (other name; method="GET", not "POST"; also status="200")\n'
        '  http_requests{} = 1                       (other name; no method="POST")'
    )


def test_nothing_like_it(service: RecordingRegistry) -> None:
    assert failure(service.assert_recorded, "cache_hits") == (
        "cache_hits{}: expected a record, but there is no such series\n"
        "metrics that are there:\n"
        "  requests\n"
        "  http_requests\n"
        "  latency"
    )


def test_nothing_at_all(recording: RecordingRegistry) -> None:
    assert failure(recording.assert_recorded, "x", 1) == "x{}: expected 1, but there is no such series"


def test_long_lists_are_cut(recording: RecordingRegistry) -> None:
    for user in range(8):
        recording.counter("logins").inc(0.5, user=user)
        recording.counter("abcdefgh"[user]).inc()
    assert failure(recording.recorded, "logins").splitlines()[-2:] == [
        '  logins{user="4"} = 0.5  (also user="4")',
        "  and 3 more",
    ]
    assert failure(recording.recorded, "zebra").splitlines()[-2:] == ["  d", "  and 4 more"]
    assert failure(recording.assert_not_recorded, "logins").endswith("\n  and 3 more")


def test_what_should_not_have_been_recorded_is_listed(service: RecordingRegistry) -> None:
    assert failure(service.assert_not_recorded, "requests", method="GET") == (
        'requests{method="GET"}: expected nothing, but there is:\n'
        '  requests{method="GET"} = 3\n'
        '  requests{method="GET", status="200"} = 1'
    )


def test_since_a_mark(service: RecordingRegistry) -> None:
    before = service.mark()
    service.counter("http_requests").inc(2)
    assert failure(service.since(before).assert_recorded, "http_requests", 1) == (
        "http_requests{}: expected 1 since the mark, but it is 2"
    )


def test_records_that_were_rejected_are_reported(engine: Any) -> None:
    registry = RecordingRegistry(strict=False, engine=engine.name)
    registry.counter("requests").inc(-1)
    assert failure(registry.assert_recorded, "requests", 1) == ("requests{}: expected 1, but it is 0\nrejected: 1 (negative)")


def test_a_record_in_the_default_registry_is_reported(recording: RecordingRegistry) -> None:
    DEFAULT.counter("made_on_import").inc()
    try:
        assert failure(recording.assert_recorded, "made_on_import", 1) == (
            "made_on_import{}: expected 1, but there is no such series\n"
            "the default registry has made_on_import: instruments made on import record there (fixture `default_metrics`)"
        )
    finally:
        DEFAULT.unregister("made_on_import")


def test_a_failure_shows_the_line_of_the_test(service: RecordingRegistry) -> None:
    with pytest.raises(AssertionError) as caught:
        service.assert_recorded("requests", 1, method="GET")
    assert [entry.path for entry in caught.traceback.filter(caught)][-1].name == "test_assertions.py"


def test_the_default_registry_is_not_the_current_one(registry: tm.Registry) -> None:
    assert tm.registry() is DEFAULT
    with tm.use(registry):
        assert tm.registry() is not DEFAULT


def test_tags_in_the_place_of_the_value_are_an_error_with_the_right_call() -> None:
    registry = RecordingRegistry()
    registry.counter("orders").inc(method="card")
    with pytest.raises(TypeError, match=r"assert_recorded\('orders', None, \{'method': 'card'\}\)"):
        registry.assert_recorded("orders", {"method": "card"})
    registry.assert_recorded("orders", None, {"method": "card"})


def test_what_stays_no_number_was_not_recorded() -> None:
    registry = RecordingRegistry()
    registry.gauge("load").set(math.nan)
    registry.assert_recorded("load")
    registry.since(registry.mark()).assert_not_recorded("load")


def test_a_series_that_came_back_at_the_same_moment_started_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    registry = RecordingRegistry()
    series = registry.counter("orders").with_tags(a="1")
    series.inc(5)
    mark = registry.mark()
    series.remove()
    series.inc(2)
    registry.since(mark).assert_recorded("orders", 2, a="1")


def test_a_tag_of_the_registry_may_be_called_metric() -> None:
    registry = RecordingRegistry(tags={"metric": "x", "service": "s"})
    registry.counter("orders").inc()
    registry.assert_recorded("orders", 1)
