"""Bad data: rejected or redirected, counted by metric and reason, logged once for each."""

from __future__ import annotations

import logging
from math import nan
from typing import Any

import pytest

import tallymark as tm


def counts(registry: tm.Registry) -> dict[tuple[str, str], float]:
    snapshot = registry.snapshot()
    if "tallymark_rejected" not in snapshot:
        return {}
    return {(one.tags["metric"], one.tags["reason"]): one.value for one in snapshot["tallymark_rejected"]}


def misbehave(registry: tm.Registry) -> None:
    registry.counter("c").inc(-1)
    registry.counter("c").inc(nan)
    registry.gauge("g").inc(nan)
    registry.histogram("h").observe(nan)
    registry.timer("t").record(-1)
    registry.counter("c").inc(a="x" * 201)


EVERY = {
    ("c", "negative"),
    ("c", "not_finite"),
    ("c", "value_too_long"),
    ("g", "not_finite"),
    ("h", "not_finite"),
    ("t", "negative"),
}


def test_without_bad_data_nothing_is_reported(registry: tm.Registry) -> None:
    registry.counter("c").inc()
    assert "tallymark_rejected" not in registry.snapshot()


def test_rejections_are_counted_by_metric_and_reason(registry: tm.Registry) -> None:
    misbehave(registry)
    misbehave(registry)
    assert counts(registry) == dict.fromkeys(EVERY, 2)


def test_a_rejection_is_logged_once_for_each_metric_and_reason(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            misbehave(registry)
    assert len(caplog.records) == len(EVERY)
    for record in caplog.records:
        assert (record.name, record.levelno) == ("tallymark", logging.WARNING)
    for metric, reason in EVERY:
        assert any(repr(metric) in line.getMessage() and repr(reason) in line.getMessage() for line in caplog.records)


def test_each_registry_logs_for_itself(engine: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        tm.Registry(engine=engine.name).counter("c").inc(-1)
    assert len(caplog.records) == 2


def test_a_strict_registry_raises_and_counts_but_does_not_log(
    strict_registry: tm.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="'c'"):
        strict_registry.counter("c").inc(-1)
    with pytest.raises(tm.TagError, match="'c'"):
        strict_registry.counter("c").inc(a="x" * 201)
    assert counts(strict_registry) == {("c", "negative"): 1, ("c", "value_too_long"): 1}
    assert caplog.records == []


def test_bad_numbers_are_no_tag_errors(strict_registry: tm.Registry) -> None:
    with pytest.raises(ValueError) as caught:
        strict_registry.counter("c").inc(-1)
    assert not isinstance(caught.value, tm.TagError)


def test_the_report_is_a_counter_of_the_same_registry(registry: tm.Registry) -> None:
    registry.counter("c").inc(-1)
    report = registry.counter("tallymark_rejected")
    assert report.with_tags(metric="c", reason="negative").value == 1
    with pytest.raises(tm.MetricConflictError):
        registry.gauge("tallymark_rejected")


def test_the_report_carries_the_tags_of_the_registry(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, tags={"host": "h"})
    registry.counter("c").inc(-1)
    assert registry.snapshot().find("tallymark_rejected", host="h", metric="c", reason="negative") is not None


def test_the_report_survives_being_unregistered(registry: tm.Registry) -> None:
    registry.counter("c").inc(-1)
    registry.unregister("tallymark_rejected")
    registry.counter("c").inc(-1)
    assert counts(registry) == {("c", "negative"): 1}


@pytest.mark.parametrize("hostile", ["__str__", "__float__", "__repr__", "__hash__", "__eq__", "__class__"])
def test_a_hostile_object_never_breaks_its_host(registry: tm.Registry, hostile: str) -> None:
    def fail(*args: object) -> Any:
        raise RuntimeError("hostile")

    body: dict[str, Any] = {"__float__": lambda self: 1.0}
    body[hostile] = property(fail) if hostile == "__class__" else fail
    thing: Any = type("Hostile", (), body)()
    for call in (
        registry.counter("c").inc,
        registry.gauge("g").set,
        registry.histogram("h").observe,
        registry.timer("t").record,
    ):
        call(thing)
        call(thing, tag=thing)
    registry.counter("c").with_tags({"tag": thing}).inc()
    registry.snapshot()


def test_a_wrong_type_is_no_bad_data(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TypeError):
        registry.counter("c").inc("1")  # type: ignore[arg-type]
    assert counts(registry) == {}
    assert caplog.records == []


def test_a_log_handler_that_records_bad_data_does_not_recur(registry: tm.Registry) -> None:
    class Recording(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            registry.counter("c").inc(-1)
            registry.counter("lines").inc(level=record.levelname)

    handler = Recording()
    logging.getLogger("tallymark").addHandler(handler)
    try:
        registry.counter("c").inc(-1)
    finally:
        logging.getLogger("tallymark").removeHandler(handler)
    assert counts(registry) == {("c", "negative"): 2}
    assert registry.counter("lines").with_tags(level="WARNING").value == 1


@pytest.mark.parametrize(
    ("tags", "limits"),
    [
        ({f"t{i}": "v" for i in range(99)}, {"max_tags": 200}),
        ({"k" * 150: "v"}, {"max_key_length": 200}),
        ({"version": "v" * 300}, {"max_value_length": 1000}),
    ],
    ids=["tags", "key", "value"],
)
def test_what_counts_rejections_rejects_nothing_itself(engine: Any, tags: dict[str, str], limits: dict[str, int]) -> None:
    registry = tm.Registry(engine=engine.name, tags=tags, limits=tm.TagLimits(**limits))
    registry.counter("n").inc(-1)
    assert registry.snapshot().find("tallymark_rejected", tags, metric="n", reason="negative").value == 1  # type: ignore[union-attr]
