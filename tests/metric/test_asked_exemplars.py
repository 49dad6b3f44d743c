"""`Registry(exemplars=…)`: who is asked what identifies a record, when, and what comes of it if that fails."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import tallymark as tm
from tallymark.engine.lock import slow_path
from tallymark.frozen import replace
from tallymark.metric import exemplars as module


class Asked:
    """Somebody who is asked, and counts; on a clock of its own."""

    def __init__(self, engine: Any, **options: Any) -> None:
        self.times = 0
        self.answer: Callable[[], Any] = lambda: {"n": self.times}
        self.now = 1000.0
        self.registry = tm.Registry(engine=engine.name, exemplars=self.ask, **options)
        self.registry._families.hooks = replace(self.registry._families.hooks, now=lambda: self.now)

    def ask(self) -> Any:
        self.times += 1
        return self.answer()

    def kept(self, name: str = "n", **tags: str) -> list[str]:
        """Return the first label's value of each exemplar of a series."""
        found = self.registry.snapshot().find(name, tags)
        return [] if found is None else [one.labels[0][1] for one in found.exemplars]

    def rejected(self, reason: str, name: str = "n") -> float:
        found = self.registry.snapshot().find("tallymark_rejected", metric=name, reason=reason)
        return 0 if found is None else found.value


@pytest.fixture
def asked(engine: Any) -> Asked:
    return Asked(engine)


# When


@pytest.mark.parametrize("tags", [{}, {"method": "GET"}], ids=["untagged", "tagged"])
def test_it_is_asked_once_a_second(asked: Asked, tags: dict[str, str]) -> None:
    counter = asked.registry.counter("n")
    seen = []
    for at in (0, 0, 0.5, 0.99, 1, 1.5, 1.99, 2, 100):
        asked.now = 1000.0 + at
        counter.inc(**tags)
        seen.append(asked.times)
    assert seen == [1, 1, 1, 1, 2, 2, 2, 3, 4]
    assert asked.kept(**tags) == ["4"]
    assert counter.with_tags(**tags).value == 9


def test_it_is_asked_for_each_bucket_of_each_series(asked: Asked) -> None:
    histogram = asked.registry.histogram("n", buckets=(1, 2))
    for _ in range(3):
        for value in (1, 2, 3):
            histogram.observe(value)
            histogram.observe(value, a="1")
    assert asked.times == 6
    assert asked.kept() == ["1", "3", "5"]
    assert asked.kept(a="1") == ["2", "4", "6"]


def test_it_is_asked_once_a_second_even_if_it_knows_none(asked: Asked) -> None:
    asked.answer = lambda: None if asked.times < 2 else {}
    counter = asked.registry.counter("n")
    for _ in range(5):
        for _ in range(10):
            counter.inc()
        asked.now += 1
    assert asked.times == 5
    assert asked.kept() == []


def test_none_and_empty_leave_the_one_before(asked: Asked) -> None:
    counter = asked.registry.counter("n")
    counter.inc()
    for answer in (None, {}):
        asked.answer = lambda answer=answer: answer
        asked.now += 5
        counter.inc()
    assert asked.kept() == ["1"]
    assert asked.times == 3


def test_a_clock_that_was_set_back_does_not_silence_it(asked: Asked) -> None:
    counter = asked.registry.counter("n")
    counter.inc()
    asked.now -= 3600
    counter.inc()
    counter.inc()
    assert asked.times == 2


def test_one_that_is_given_wins_and_stays_for_a_second(asked: Asked) -> None:
    counter = asked.registry.counter("n")
    counter.inc(exemplar={"n": "mine"})
    asked.now += 0.9
    counter.inc()
    assert asked.kept() == ["mine"]
    assert asked.times == 0
    asked.now += 0.2
    counter.inc()
    assert asked.kept() == ["1"]
    counter.inc(exemplar={"n": "mine again"})
    counter.inc(exemplar={})
    counter.inc(exemplar={"no name": "x"})
    assert asked.kept() == ["mine again"]
    assert asked.times == 1
    counter.inc(exemplar=None, a="1")
    assert asked.kept(a="1") == ["2"]


RECORDS: dict[str, Callable[[tm.Registry], object]] = {
    "inc": lambda registry: registry.counter("n").inc(),
    "add": lambda registry: registry.counter("n").add(2),
    "observe": lambda registry: registry.histogram("n").observe(1),
    "record": lambda registry: registry.timer("n").record(1),
    "record_since": lambda registry: registry.timer("n").record_since(0.0),
    "time": lambda registry: registry.timer("n").time().__enter__().__exit__(None, None, None),
    "time, as a decorator": lambda registry: registry.timer("n").time()(lambda: None)(),
    "a bound series": lambda registry: registry.counter("n").with_tags({}).inc(),
}


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_of_any_form_asks(asked: Asked, record: str) -> None:
    for _ in range(3):
        RECORDS[record](asked.registry)
    assert asked.times >= 1
    assert asked.kept()[0] == "1"


def test_tagged_records_of_other_forms_ask(asked: Asked) -> None:
    timer, counter = asked.registry.timer("t"), asked.registry.counter("c")
    with timer.time(a="1"):
        pass
    timer.record_since(0.0, a="1")
    with pytest.raises(KeyError), counter.count_exceptions(KeyError, a="1"):
        raise KeyError
    assert len(asked.kept("t", a="1")) == 2
    assert asked.kept("c", a="1") == ["3"]


def test_the_operational_layer_asks(asked: Asked) -> None:
    ops = tm.OperationalMetrics(asked.registry, in_flight=True)
    for _ in range(3):
        ops.record_operation("auth", "success", 0.1)
        ops.record_error("auth", "Timeout", "net")
        ops.record_event("security", "refused")
        ops.record_value("order", "books", 19.9)
    with ops.operation("pay"):
        pass
    with_any = {one.name for one in asked.registry.snapshot() if one.exemplars}
    assert with_any == {"operations", "operation_duration", "operation_errors", "events", "amounts"}
    assert asked.kept("operations", operation="pay", status="success")


def test_what_is_no_record_of_a_counter_or_histogram_does_not_ask(asked: Asked) -> None:
    registry = asked.registry
    registry.gauge("g").set(1)
    registry.gauge("g").inc()
    registry.info("i", version="1")
    registry.state("s", ["a"]).set("a")
    registry.counter("called", callback=lambda: [({"a": "1"}, 5)])
    registry.counter("n").inc(-1)
    registry.counter("n").with_tags(a="2")
    for _ in range(2):
        registry.snapshot()
    assert asked.times == 0
    assert asked.rejected("negative") == 1  # which was counted, and asked nobody


# What fails


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_one_that_raises_is_counted_and_logged_once_and_breaks_no_record(asked: Asked, caplog: Any) -> None:
    class OwnError(Exception):
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    errors = [RuntimeError("no span"), OwnError(), ImportError("x")]

    def fail() -> None:
        raise errors[asked.times % 3]

    asked.answer = fail
    counter = asked.registry.counter("n")
    with caplog.at_level(logging.WARNING, "tallymark"):
        for _ in range(6):
            counter.inc()
            asked.now += 1
    assert counter.value == 6
    assert asked.times == 6
    assert asked.kept() == []
    assert asked.rejected("exemplar_source") == 6
    assert [line for line in caplog.messages if "exemplar" in line] == caplog.messages
    assert len(caplog.messages) == 1
    assert "metric 'n': Registry(exemplars=…) failed: OwnError" in caplog.text


@pytest.mark.parametrize("answer", ["4bf9", 5, [("a", "b")], Hostile()], ids=lambda one: type(one).__name__)
def test_one_that_returns_no_mapping_is_counted(asked: Asked, answer: Any) -> None:
    asked.answer = lambda: answer
    asked.registry.counter("n").inc()
    assert asked.registry.counter("n").value == 1
    assert asked.rejected("exemplar_source") == 1


UNUSABLE: dict[str, Any] = {"long": {"trace_id": "x" * 200}, "name": {"a b": "x"}, "key": {1: "x"}, "value": {"a": Hostile()}}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_labels_are_counted(asked: Asked, name: str) -> None:
    answer = UNUSABLE[name]
    asked.answer = lambda: answer
    asked.registry.counter("n").inc()
    assert asked.registry.counter("n").value == 1
    assert asked.kept() == []
    assert asked.rejected("exemplar") == 1


def test_a_strict_registry_raises_once_the_record_is_made(engine: Any) -> None:
    asked = Asked(engine, strict=True)
    asked.answer = lambda: 1 / 0
    counter = asked.registry.counter("n")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        counter.inc()
    counter.inc()
    assert counter.value == 2


def test_ctrl_c_is_not_swallowed(asked: Asked) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    asked.answer = interrupt
    counter = asked.registry.counter("n")
    with pytest.raises(KeyboardInterrupt):
        counter.inc()
    assert counter.value == 1


@pytest.mark.parametrize("source", [5, "trace", {"trace_id": "x"}])
def test_a_source_that_cannot_be_called_is_a_type_error(engine: Any, source: Any) -> None:
    with pytest.raises(TypeError, match=r"exemplars must be callable, such as tm.current_span_exemplar, not a"):
        tm.Registry(engine=engine.name, exemplars=source)


# What the source may do


def test_it_may_record_to_the_same_series_and_others(asked: Asked) -> None:
    counter, histogram = asked.registry.counter("n"), asked.registry.histogram("h", buckets=(1, 2))

    def record() -> dict[str, str]:
        counter.inc()
        counter.inc(a="1")
        histogram.observe(asked.times)
        counter.inc(exemplar={"n": "inner"})
        return {"n": "outer"}

    asked.answer = record
    counter.inc()
    assert counter.value == 9  # it was asked for four places: two of the counter, two of the histogram
    assert asked.times == 4
    assert asked.kept() == ["outer"]


@pytest.mark.parametrize("end", ["remove", "unregister", "close", "forget"])
def test_it_may_end_the_series(asked: Asked, end: str) -> None:
    counter = asked.registry.counter("n")

    def finish() -> dict[str, str]:
        if end == "remove":
            counter.with_tags(a="1").remove()
        elif end == "unregister":
            asked.registry.unregister("n")
        elif end == "close":
            asked.registry.close()
        else:
            for one in counter.series():
                one.remove()
            for i in range(100):  # others may get its memory
                counter.with_tags(b=i).inc(exemplar={"n": "other"})
        return {"n": "late"}

    asked.answer = finish
    counter.inc(a="1")
    asked.answer = lambda: None
    asked.now += 5
    counter.inc(a="1")
    assert asked.kept(a="1") == (["late"] if end == "close" else [])
    assert all(one.exemplars[0].labels == (("n", "other"),) for one in asked.registry.snapshot()["n"] if "b" in one.tags)


def test_it_may_let_go_of_everything(engine: Any) -> None:
    held: list[Any] = []

    def let_go() -> dict[str, str]:
        held.clear()
        gc.collect()
        return {"n": "1"}

    registry = tm.Registry(engine=engine.name, exemplars=let_go)
    held += [registry, registry.counter("n").with_tags(a="1")]
    del registry
    held[1].inc()
    assert held == []


def test_a_signal_handler_records_while_it_is_asked(asked: Asked) -> None:
    counter = asked.registry.counter("n")
    before = signal.signal(signal.SIGUSR1, lambda *_: counter.inc(exemplar={"n": "handler"}))

    def interrupted() -> dict[str, str]:
        os.kill(os.getpid(), signal.SIGUSR1)
        return {"n": "asked"}

    asked.answer = interrupted
    try:
        counter.inc()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert counter.value == 2
    assert asked.kept() == ["asked"]


def test_it_is_not_asked_within_a_slow_path_which_others_wait_for(asked: Asked) -> None:
    """As a finaliser does that interrupts one: what is asked may wait for a thread that waits for this one."""
    with slow_path():
        asked.registry.counter("n").inc()
    assert asked.times == 0
    asked.now += 1
    asked.registry.counter("n").inc()
    assert asked.kept() == ["1"]


def test_an_instrument_keeps_neither_its_registry_nor_the_source_alive(engine: Any) -> None:
    class Source:
        def __call__(self) -> dict[str, str]:
            return {"n": "1"}

    source = Source()
    registry = tm.Registry(engine=engine.name, exemplars=source)
    source.registry = registry  # type: ignore[attr-defined]
    counter = registry.counter("n")
    counter.inc()
    gone = [weakref.ref(source), weakref.ref(registry)]
    del source, registry
    gc.collect()
    assert [one() for one in gone] == [None, None]
    counter.inc(a="1")
    assert counter.with_tags(a="1").value == 1


def test_a_null_registry_asks_nobody() -> None:
    times = []
    null = tm.NullRegistry(exemplars=lambda: times.append(1))  # type: ignore[func-returns-value]
    null.counter("n").inc()
    null.timer("t").record(1, exemplar={"a": "b"})
    assert times == []


# OpenTelemetry


def tracer(sampler: Any) -> Any:
    return TracerProvider(sampler=sampler).get_tracer("test")


def test_the_current_span_is_the_exemplar_where_it_is_sampled(engine: Any) -> None:
    registry = tm.Registry(engine=engine.name, exemplars=tm.current_span_exemplar)
    counter = registry.counter("n")
    with tracer(ALWAYS_ON).start_as_current_span("request") as span:
        counter.inc(route="/a")
        context = span.get_span_context()
    with tracer(ALWAYS_OFF).start_as_current_span("request"):
        counter.inc(route="/b")
        assert tm.current_span_exemplar() is None
    counter.inc(route="/c")
    assert tm.current_span_exemplar() is None
    found = {one.tags["route"]: [each.labels for each in one.exemplars] for one in registry.snapshot()["n"]}
    labels = (("trace_id", f"{context.trace_id:032x}"), ("span_id", f"{context.span_id:016x}"))
    assert found == {"/a": [labels], "/b": [], "/c": []}


def test_ids_have_all_their_digits() -> None:
    context = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
    with trace.use_span(trace.NonRecordingSpan(context)):
        assert tm.current_span_exemplar() == {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2"}


def test_without_the_package_the_registry_says_what_to_install(monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"needs the package opentelemetry-api: pip install 'tallymark\[otel\]'"):
        tm.Registry(engine=engine.name, exemplars=tm.current_span_exemplar)
    with pytest.raises(ImportError, match="opentelemetry-api"):
        module.current_span_exemplar()
