"""Exemplars of requests: the span of the application is still current when the duration is recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flask import Flask, g
from http_driver import ask, ask_wsgi, hello, series_of
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import tallymark as tm
from tallymark.integrations import flask
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.http_metrics import DURATION
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware


@pytest.fixture
def traced(engine: Any) -> tm.Registry:
    """A registry that asks for the current span."""
    return tm.Registry(engine=engine.name, exemplars=tm.current_span_exemplar)


TRACER = TracerProvider().get_tracer("tests")


def labels(registry: tm.Registry) -> list[dict[str, str]]:
    return [dict(one.labels) for series in series_of(registry, DURATION) for one in series.exemplars]


def expected(spans: list[Any]) -> list[dict[str, str]]:
    (context,) = [span.get_span_context() for span in spans]
    return [{"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}]


@pytest.mark.parametrize("is_around", [False, True])
def test_the_span_of_an_asgi_application(traced: tm.Registry, is_around: bool) -> None:
    """It is begun by a middleware within the metrics, or around them."""
    spans = []

    def spanned(app: Any) -> Any:
        async def in_span(scope: Any, receive: Any, send: Any) -> None:
            with TRACER.start_as_current_span("request") as span:
                spans.append(span)
                await app(scope, receive, send)

        return in_span

    within = hello(b"a") if is_around else spanned(hello(b"a"))
    metrics = MetricsMiddleware(within, registry=traced)
    asyncio.run(ask(spanned(metrics) if is_around else metrics))
    assert labels(traced) == expected(spans)


def test_the_span_of_a_wsgi_application_that_ended_before_its_response(traced: tm.Registry) -> None:
    spans = []

    def app(environ: Any, start_response: Any) -> Any:
        with TRACER.start_as_current_span("request") as span:
            spans.append(span)
            start_response("200 OK", [])
        return [b"a"]

    ask_wsgi(WSGIMetricsMiddleware(app, registry=traced))
    assert labels(traced) == expected(spans)
    assert not trace.get_current_span().get_span_context().is_valid


def test_the_span_of_flask_that_ends_with_its_context(traced: tm.Registry) -> None:
    """OpenTelemetry's instrumentation begins it before the request and ends it when the context is torn down."""
    app, spans = Flask("tests"), []

    @app.before_request
    def begin() -> None:
        g.block = TRACER.start_as_current_span("request")
        spans.append(g.block.__enter__())

    @app.teardown_request
    def end(error: Any) -> None:
        g.block.__exit__(None, None, None)

    app.add_url_rule("/", view_func=lambda: "hello")
    flask.instrument(app, registry=traced)
    ask_wsgi(app)
    assert labels(traced) == expected(spans)
