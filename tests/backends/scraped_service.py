"""What a service of the end-to-end tests records: one of everything, once in each process.

It runs in the process of the tests, and in the workers of uvicorn, which import `app`. All of them share the file that
`TALLYMARK_SHARED` names.
"""

from __future__ import annotations

import os

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

import tallymark as tm

ODD = 'q"\\\né{};='
BY_HAND = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = 0x0AF7651916CD43DD8448EB211C80319C
NOT_SAMPLED = 0x11111111111111111111111111111111
VALUES = range(1, 1001)

_tracer = TracerProvider(sampler=ParentBasedTraceIdRatio(1.0), shutdown_on_exit=False).get_tracer("service")


def record(registry: tm.Registry) -> None:
    """Record one of everything, some of it within spans of the OpenTelemetry SDK."""
    requests = registry.counter("http.requests", description='Requests "served".')
    requests.inc(3, **{"http.route": ODD})
    requests.inc(0.5, exemplar={"trace_id": BY_HAND}, **{"http.route": "/by-hand"})
    registry.gauge("queue_depth").set(-2.5)
    size = registry.histogram("size", unit="bytes", buckets=[1, 10])
    for value in (0.5, 5, 5, 1e9):
        size.observe(value, exemplar={"trace_id": BY_HAND, "span_id": "00f067aa0ba902b7"})
    spread = registry.histogram("spread", exponential=True)
    for value in VALUES:
        spread.observe(value, side="above")
        spread.observe(-value, side="below")
    spread.observe(0, side="above")
    slow = registry.timer("slow", exponential=True)
    with _span(NOT_SAMPLED, TraceFlags.DEFAULT):
        slow.record(0.25, traced="no")
        requests.inc(**{"http.route": "/not-sampled"})
    with _span(SAMPLED, TraceFlags.SAMPLED):
        slow.record(0.25, traced="yes")
        requests.inc(**{"http.route": "/sampled"})
        registry.timer("took", buckets=[0.1, 1]).record(0.5)
    registry.info("build", version="1.2")
    registry.state("worker_state", ["starting", "running"]).set("running")
    registry.counter("recorded").inc()  # the last, for who waits


def _span(trace_id: int, flags: int):  # type: ignore[no-untyped-def]
    """Return a span of a trace that began elsewhere, to be entered."""
    caller = SpanContext(trace_id, 1, is_remote=True, trace_flags=TraceFlags(flags))
    return _tracer.start_as_current_span("work", set_span_in_context(NonRecordingSpan(caller)))


def shared_registry(path: str) -> tm.Registry:
    """Return the registry that the workers and the tests share."""
    return tm.Registry(shared=path, exemplars=tm.current_span_exemplar)


if "TALLYMARK_SHARED" in os.environ:
    registry = shared_registry(os.environ["TALLYMARK_SHARED"])
    record(registry)
    app = tm.asgi_app(registry, tm.BearerAuth(os.environ["TALLYMARK_TOKEN"]))
