"""`instrument` and `uninstrument` of the HTTP frameworks, and what they take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import flask as flask_package
import pytest
from fastapi import FastAPI
from flask import Flask
from http_driver import Exchange, active, ask, ask_wsgi, ended, hello, series_of
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import tallymark as tm
from tallymark.integrations import fastapi, flask, starlette
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.http_metrics import DURATION
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


def starlette_app() -> Starlette:
    def user(request: Any) -> PlainTextResponse:
        return PlainTextResponse("hello", headers={"X-Shard": "7"})

    return Starlette(routes=[Route("/users/{id}", user), Route("/internal/health", user)])


def fastapi_app() -> FastAPI:
    app = FastAPI()

    def user() -> PlainTextResponse:
        return PlainTextResponse("hello", headers={"X-Shard": "7"})

    app.get("/users/{id}")(user)
    app.get("/internal/health")(user)
    return app


def flask_app() -> Flask:
    app = Flask("tests")

    def user(id: str = "") -> tuple[str, dict[str, str]]:
        return "hello", {"X-Shard": "7"}

    app.add_url_rule("/users/<id>", view_func=user)
    app.add_url_rule("/internal/health", view_func=user)
    return app


Get = Callable[..., tuple[int | None, bytes]]


def get_asgi(app: Any, path: str, **headers: str) -> tuple[int | None, bytes]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    said = asyncio.run(ask(app, path, headers=[(b"host", b"localhost"), *pairs]))
    return said.status, said.body


def get_wsgi(app: Any, path: str, **headers: str) -> tuple[int | None, bytes]:
    status, body = ask_wsgi(app, path, **{f"HTTP_{name.upper()}": value for name, value in headers.items()})
    return None if status is None else int(status[:3]), body


FRAMEWORKS = {
    "starlette": (starlette, starlette_app, get_asgi, "/users/{id}"),
    "fastapi": (fastapi, fastapi_app, get_asgi, "/users/{id}"),
    "flask": (flask, flask_app, get_wsgi, "/users/<id>"),
}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> tuple[Any, Any, Get, str]:
    """The integration of a framework, an application, what asks it, and a route."""
    integration, make, get, route = FRAMEWORKS[request.param]
    return integration, make(), get, route


def test_the_integrations_are_there_when_they_are_asked_for() -> None:
    assert tm.integrations.fastapi.instrument is fastapi.instrument
    assert {"asgi", "fastapi", "flask", "starlette", "wsgi"} <= set(dir(tm.integrations))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tm.integrations.nothing  # type: ignore[attr-defined]


def test_the_registry_is_the_current_one_at_the_call(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, route = framework
    with tm.use(registry):
        integration.instrument(app)
    assert get(app, "/users/7") == (200, b"hello")
    assert ended(registry) == {("GET", route, "200", None): 1}


def test_the_metrics_are_served_at_their_path_and_not_recorded(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, _ = framework
    integration.instrument(app, registry=registry, metrics_path="/internal/metrics/")
    get(app, "/users/7")
    for path in ("/internal/metrics", "/internal/metrics/", "/internal/metrics/metrics"):
        status, body = get(app, path)
        assert (status, b"http_server_request_duration_seconds_count" in body) == (200, True)
    assert get(app, "/internal/metrics/healthz") == (200, b"ok\n")
    assert get(app, "/internal/metricsx")[0] == 404
    assert sum(ended(registry).values()) == 2


def test_the_metrics_may_ask_for_credentials(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, _ = framework
    integration.instrument(app, registry=registry, metrics_path="/metrics", auth=tm.BearerAuth("secret"))
    assert get(app, "/metrics")[0] == 401
    assert get(app, "/metrics", authorization="Bearer secret")[0] == 200


def test_the_metrics_below_a_root_path(registry: tm.Registry) -> None:
    app = MetricsMiddleware(hello(), registry=registry, metrics_path="/metrics")
    for path in ("/root/metrics", "/metrics", "/root/metrics/metrics"):
        said = asyncio.run(ask(app, path, root_path="/root"))
        assert (said.status, b"http_server" in said.body) == (200, True)
    assert (
        ask_wsgi(WSGIMetricsMiddleware(flask_app(), registry=registry, metrics_path="/m"), "/m", SCRIPT_NAME="/root")[0]
        == "200 OK"
    )
    assert ended(registry) == {}


def test_routes_and_paths_that_are_excluded(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, route = framework
    integration.instrument(app, registry=registry, exclude=[route, "/internal/*"])
    for path in ("/users/7", "/internal/health", "/internal/"):
        get(app, path)
    assert (ended(registry), active(registry)) == ({}, 0)
    get(app, "/xinternal/health")
    assert ended(registry) == {("GET", None, "404", None): 1}


def test_instrumented_twice_and_undone(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, route = framework
    other = tm.Registry()
    integration.instrument(app, registry=other)
    integration.instrument(app, registry=registry)
    get(app, "/users/7")
    integration.uninstrument(app)
    integration.uninstrument(app)
    assert get(app, "/users/7") == (200, b"hello")
    assert ended(other) == {}
    assert ended(registry) == {("GET", route, "200", None): 1}
    integration.instrument(app, registry=other)  # the application has begun to serve
    get(app, "/users/7")
    assert ended(other) == {("GET", route, "200", None): 1}


def test_nothing_is_left_of_what_is_undone(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, _ = framework
    before = set(vars(app))
    stacks = [vars(app).get("middleware_stack"), vars(app).get("wsgi_app")]
    integration.instrument(app, registry=registry)
    integration.uninstrument(app)
    assert set(vars(app)) - {"wsgi_app"} == before
    assert [vars(app).get("middleware_stack"), (vars(app).get("wsgi_app") or app.wsgi_app) if stacks[1] else None] == stacks
    get(app, "/users/7")
    integration.instrument(app, registry=registry)
    integration.uninstrument(app)
    assert get(app, "/users/7") == (200, b"hello")
    assert ended(registry) == {}


def test_undone_though_others_have_come_around_it(registry: tm.Registry) -> None:
    app: Any = flask_app()
    flask.instrument(app, registry=registry)
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: inner(environ, start_response)
    flask.uninstrument(app)
    assert get_wsgi(app, "/users/7") == (200, b"hello")
    assert ended(registry) == {}


def test_what_is_added_later_is_within_the_metrics(registry: tm.Registry) -> None:
    class Refuses:
        def __init__(self, app: Any) -> None:
            pass

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await hello(b"no", status=401)(scope, receive, send)

    app = starlette_app()
    starlette.instrument(app, registry=registry)
    app.add_middleware(Refuses)
    assert get_asgi(app, "/users/7") == (401, b"no")
    assert ended(registry) == {("GET", None, "401", None): 1}


def test_the_status_that_a_handler_of_errors_chose(registry: tm.Registry) -> None:
    def fails(request: Any) -> None:
        raise KeyError("fails")

    def busy(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("later", status_code=503)

    app = Starlette(routes=[Route("/fails", fails)], exception_handlers={Exception: busy})
    starlette.instrument(app, registry=registry)
    assert get_asgi(app, "/fails") == (503, b"later")
    assert ended(registry) == {("GET", "/fails", "503", "503"): 1}


def test_an_application_in_another_one_is_recorded_once(registry: tm.Registry) -> None:
    inner = starlette_app()
    outer = Starlette(routes=[Mount("/api", inner)])
    for app in (inner, outer):
        starlette.instrument(app, registry=registry)
    assert get_asgi(outer, "/api/users/7") == (200, b"hello")
    assert ended(registry) == {("GET", "/api/users/{id}", "200", None): 1}
    within = flask_app()
    flask.instrument(within, registry=registry)
    get_wsgi(WSGIMetricsMiddleware(within, registry=registry), "/users/7")
    assert ended(registry)["GET", "/users/<id>", "200", None] == 1


# Own tags


def test_own_tags_of_request_and_response(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, _ = framework

    def tags(request: Any, response: Any) -> dict[str, Any]:
        path = str(getattr(request.url, "path", "")) or request.path
        return {"shard": response.headers["X-Shard"], "status": response.status_code, "path": path, "http.route": "mine"}

    integration.instrument(app, registry=registry, tags=tags)
    get(app, "/users/7")
    (series,) = [one for one in series_of(registry, DURATION) if one.count]
    assert (series.tags["shard"], series.tags["status"], series.tags["path"]) == ("7", "200", "/users/7")
    assert series.tags["http.route"] != "mine"  # those of the convention win


def test_own_tags_of_a_request_without_a_response(registry: tm.Registry, framework: Any) -> None:
    integration, app, get, _ = framework
    app.debug = app.testing = False
    seen = []
    integration.instrument(app, registry=registry, tags=lambda request, response: seen.append(response) or {})
    get(app, "/users/7")
    assert len(seen) == 1
    middleware = MetricsMiddleware(lambda *_: asyncio.sleep(0), registry=registry, tags=lambda *given: seen.append(given[1]))  # type: ignore[arg-type, func-returns-value]
    asyncio.run(ask(middleware))
    assert seen[1] is None


def test_own_tags_see_the_context_of_flask(registry: tm.Registry) -> None:
    app = flask_app()

    @app.before_request
    def note() -> None:
        flask_package.g.tenant = "acme"

    flask.instrument(app, registry=registry, tags=lambda request, response: {"tenant": flask_package.g.tenant})
    get_wsgi(app, "/users/7")
    assert [one.tags["tenant"] for one in series_of(registry, DURATION) if one.count] == ["acme"]


@pytest.mark.parametrize(
    "tags",
    [
        lambda request, response: 1 / 0,
        lambda request, response: {"not a key!": "x"},
        lambda request, response: {7: "x"},
        lambda request, response: {"a": ["x"]},
        lambda request, response: {f"key{number}": "x" for number in range(50)},
        lambda request, response: "text",
        lambda request: {},
    ],
)
@pytest.mark.filterwarnings("error")
def test_own_tags_that_fail_are_left_out_and_logged_once(
    registry: tm.Registry, caplog: pytest.LogCaptureFixture, framework: Any, tags: Any
) -> None:
    integration, app, get, route = framework
    integration.instrument(app, registry=registry, tags=tags)
    for _ in range(3):
        assert get(app, "/users/7") == (200, b"hello")
    assert ended(registry) == {("GET", route, "200", None): 3}
    assert active(registry) == 0
    assert len([one for one in caplog.records if one.name == "tallymark"]) == 1
    assert "tags= of the HTTP integration failed" in caplog.text
    rejected = registry.snapshot()["tallymark_rejected"]
    assert [(one.tags["reason"], one.value) for one in rejected] == [("tags_failed", 3)]


def test_a_route_function_that_fails_is_logged_once(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    def fails(request: Any) -> str:
        raise KeyError("fails")

    for _ in range(2):
        asyncio.run(ask(MetricsMiddleware(hello(), registry=registry, route=fails)))
        ask_wsgi(WSGIMetricsMiddleware(flask_app(), registry=registry, route=fails), "/users/7")
    assert ended(registry) == {("GET", None, "200", None): 4}
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING


# What is wrong raises at once


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"exclude": "/healthz"}, TypeError, r"exclude=\('/healthz',\)"),
        ({"exclude": [7]}, TypeError, "each a str, not 7"),
        ({"tags": {"a": "b"}}, TypeError, "tags must be a function"),
        ({"registry": "mine"}, TypeError, "registry must be a Registry"),
        ({"metrics_path": "metrics"}, ValueError, "such as '/metrics', not 'metrics'"),
        ({"metrics_path": "/"}, ValueError, "below the application"),
        ({"metrics_path": 7}, TypeError, "metrics_path must be a str"),
        ({"metrics_path": "/m", "auth": "secret"}, TypeError, "auth"),
    ],
)
def test_what_is_wrong_raises_at_once_and_changes_nothing(framework: Any, options: Any, error: Any, message: str) -> None:
    integration, app, get, _ = framework
    registry = tm.Registry()
    integration.instrument(app, registry=registry)
    with pytest.raises(error, match=message):
        integration.instrument(app, **options)
    get(app, "/users/7")
    assert sum(ended(registry).values()) == 1


def test_what_is_no_application_raises(framework: Any) -> None:
    integration, *_ = framework
    with pytest.raises(TypeError, match="app must be a"):
        integration.instrument(lambda: None)


def test_a_metric_of_that_name_that_differs_raises(registry: tm.Registry, framework: Any) -> None:
    integration, app, *_ = framework
    registry.counter(DURATION)
    with pytest.raises(tm.MetricConflictError, match=DURATION):
        integration.instrument(app, registry=registry)


def test_with_no_metrics_at_all(framework: Any) -> None:
    integration, app, get, _ = framework
    integration.instrument(app, registry=tm.NullRegistry())
    assert get(app, "/users/7") == (200, b"hello")


def test_websockets_have_own_tags_too(registry: tm.Registry) -> None:
    async def chat(websocket: Any) -> None:
        await websocket.accept()

    app = Starlette()
    app.router.add_websocket_route("/chat/{room}", chat)
    starlette.instrument(
        app, registry=registry, tags=lambda request, response: {"room": request.path_params["room"], "s": response.status_code}
    )
    said = Exchange([{"type": "websocket.connect"}])
    asyncio.run(ask(app, "/chat/7", exchange=said, type="websocket", scheme="ws"))
    (series,) = [one for one in series_of(registry, DURATION) if one.count]
    assert (series.tags["http.route"], series.tags["room"], series.tags["s"]) == ("/chat/{room}", "7", "101")


def test_own_tags_of_a_websocket_that_is_refused_have_its_status(registry: tm.Registry) -> None:
    async def chat(websocket: Any) -> None:
        await websocket.close()

    app = Starlette()
    app.router.add_websocket_route("/chat", chat)
    starlette.instrument(app, registry=registry, tags=lambda request, response: {"s": response.status_code})
    asyncio.run(ask(app, "/chat", exchange=Exchange([{"type": "websocket.connect"}]), type="websocket", scheme="ws"))
    (tags,) = [series.tags for series in series_of(registry, DURATION)]
    assert (tags["http.response.status_code"], tags["s"]) == ("403", "403")
