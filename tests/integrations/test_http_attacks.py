"""Requests that are made to hurt: what they leave behind is bounded, and right."""

from __future__ import annotations

import asyncio
import os
import random
import string
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from http_driver import active, ask, ask_wsgi, ended, hello, scope_of, series_of

import tallymark as tm
from tallymark.integrations import fastapi, flask
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.http_metrics import ACTIVE, DURATION, HTTPMetrics
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware

LETTERS = string.ascii_letters + string.digits + "/{}<>%\"'\\\n\0 é\u202e\U0001f600"


def text(chosen: random.Random, most: int = 30) -> str:
    return "".join(chosen.choices(LETTERS, k=chosen.randrange(most)))


@pytest.mark.slow
def test_a_hundred_thousand_random_requests_leave_few_series() -> None:
    registry = tm.Registry()
    chosen = random.Random(18)
    some = [text(chosen) for _ in range(500)]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["endpoint"] = chosen
        await hello(status=chosen.choice((200, 302, 404, 500)))(scope, receive, send)

    middleware = MetricsMiddleware(app, registry=registry, exclude=("/excluded/*",))

    async def attack() -> None:
        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            pass

        for number in range(100_000):
            path, method, scheme, version, host, header = chosen.choices(some, k=6)
            scope = scope_of(f"/{path}{number}", method + str(number), scheme=scheme, http_version=version)
            scope["headers"] = [(b"host", host.encode()), (header.encode(), host.encode())]
            scope["root_path"] = scheme
            await middleware(scope, receive, send)

    asyncio.run(attack())
    assert sum(ended(registry).values()) == 100_000
    assert len(series_of(registry, DURATION)) <= 4 * 5  # status, and those of the versions of HTTP that are known
    assert len(series_of(registry, ACTIVE)) == 1
    assert active(registry) == 0


def user(id: str) -> str:
    return id


@pytest.mark.parametrize("wrong", [{"method": None}, {"method": []}, {"scheme": {}}, {"http_version": b"1.1"}], ids=repr)
def test_what_a_server_tells_against_its_protocol_breaks_no_request(registry: tm.Registry, wrong: dict[str, Any]) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(MetricsMiddleware(hello(), registry=registry)(scope_of("/") | wrong, send, send))
    assert len(sent) == 2
    assert (sum(ended(registry).values()), active(registry)) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_random_requests_to_a_framework_leave_few_series(framework: str) -> None:
    registry = tm.Registry()
    chosen = random.Random(18)
    methods = ["GET", "POST", "HEAD", "OPTIONS", "TRACE", "BREW", "get", "\u00c9"]
    if framework == "fastapi":
        api: Any = FastAPI()
        api.get("/users/{id}")(user)
        fastapi.instrument(api, registry=registry)
    else:
        api = Flask("tests", static_folder=None)
        api.add_url_rule("/users/<id>", view_func=user)
        flask.instrument(api, registry=registry)

    async def attack() -> None:
        for _ in range(1_500):
            path = chosen.choice(("/users/", "/")) + text(chosen)
            host = text(chosen)
            if framework == "fastapi":
                await ask(api, path, chosen.choice(methods), headers=[(b"host", host.encode())])
            else:
                ask_wsgi(api, path.encode().decode("latin-1"), chosen.choice(methods), HTTP_HOST=host)

    asyncio.run(attack())
    routes = {route for _, route, *_ in ended(registry)}
    assert routes == {None, "/users/{id}" if framework == "fastapi" else "/users/<id>"}
    assert {method for method, *_ in ended(registry)} == {"GET", "POST", "HEAD", "OPTIONS", "TRACE", "_OTHER"}
    assert sum(ended(registry).values()) == 1_500
    assert active(registry) == 0
    assert "tallymark_rejected" not in registry.snapshot()


def test_routes_and_own_tags_that_are_not_bounded_go_to_the_overflow(registry: tm.Registry) -> None:
    limited = tm.Registry(engine=registry._engine.name, limits=tm.TagLimits(max_series=10))
    raw = MetricsMiddleware(hello(), registry=limited, route=lambda scope: scope["path"])
    own = MetricsMiddleware(hello(), registry=limited, tags=lambda scope, start: {"path": scope["path"]})

    async def attack() -> None:
        for number in range(300):
            await ask(raw, f"/{number}")
            await ask(own, f"/{number}")

    asyncio.run(attack())
    found = series_of(limited, DURATION)
    assert len(found) == 11
    assert [one.count for one in found if "overflow" in one.tags] == [590]


def test_the_series_that_are_kept_are_bounded(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallymark.integrations.http_metrics._MOST_KEPT", 20)
    metrics = HTTPMetrics(registry)
    middleware = MetricsMiddleware(hello(), registry=registry, route=lambda scope: scope["path"])
    middleware.metrics = metrics
    middleware._lines = metrics.lines

    async def attack() -> None:
        for number in range(200):
            await ask(middleware, f"/{number}")

    asyncio.run(attack())
    line = metrics.line("GET", "http", "1.1")
    assert sum(len(by_status) for by_route in line.known.values() for by_status in by_route.values()) == 20
    assert len(ended(registry)) == 200  # all the same, they are recorded


def test_active_requests_never_drift(registry: tm.Registry) -> None:
    chosen = random.Random(18)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(chosen.randrange(5)):
            what = chosen.randrange(8)
            if what == 0:
                raise chosen.choice((KeyError, OSError, asyncio.CancelledError, TimeoutError))
            if what == 1:
                await receive()
            elif what == 2:
                await asyncio.sleep(0)
            elif what < 5:
                await send({"type": "http.response.start", "status": 200, "headers": []})
            else:
                await send({"type": "http.response.body", "body": b"x", "more_body": chosen.random() < 0.7})

    middleware = MetricsMiddleware(app, registry=registry)

    async def attack() -> None:
        tasks = []
        for number in range(600):
            tasks.append(asyncio.create_task(ask(middleware)))
            if number % 3 == 0:
                await asyncio.sleep(0)
                chosen.choice(tasks).cancel()
        for task in tasks:
            task.cancel() if chosen.random() < 0.3 else None
        await asyncio.wait(tasks, timeout=0.05)
        for task in tasks:  # some wait for the client
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(attack())
    assert active(registry) == 0
    assert sum(ended(registry).values()) > 400  # those that were cancelled before they began are none


# Forks


def answers(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return []


@pytest.mark.parametrize("shared", [False, True])
def test_a_forked_child_has_none_of_its_parents_requests(tmp_path: Any, shared: bool) -> None:
    registry = tm.Registry(shared=tmp_path / "metrics") if shared else tm.Registry()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        child = os.fork()
        if child == 0:
            raise KeyError("in the child")  # which goes up through the middleware, as the parent's request would
        return [b"%d" % child]

    middleware = WSGIMetricsMiddleware(app, registry=registry)
    parent = os.getpid()
    status, body = ask_wsgi(middleware)
    if os.getpid() != parent:
        try:
            mine = [one.value for one in registry._families.find(ACTIVE).root.series()]  # type: ignore[union-attr]
            right = mine in ([], [0.0]) and ("GET", None, "200", "KeyError") not in ended(registry)
            ask_wsgi(WSGIMetricsMiddleware(answers, registry=registry))
            os._exit(0 if right and ended(registry)["GET", None, "200", None] >= 1 else 1)
        finally:
            os._exit(2)
    assert status == "200 OK"
    assert os.waitstatus_to_exitcode(os.waitpid(int(body), 0)[1]) == 0
    assert active(registry) == 0
    assert ended(registry)["GET", None, "200", None] == (2 if shared else 1)


def test_a_child_that_is_killed_amid_a_request_leaves_the_sum(tmp_path: Any) -> None:
    registry = tm.Registry(shared=tmp_path / "metrics")
    begun, wait = os.pipe(), os.pipe()

    def app(environ: Any, start_response: Any) -> Any:
        os.write(begun[1], b"x")
        os.read(wait[0], 1)

    child = os.fork()
    if child == 0:
        try:
            ask_wsgi(WSGIMetricsMiddleware(app, registry=registry))
        finally:
            os._exit(1)
    middleware = WSGIMetricsMiddleware(answers, registry=registry)
    assert os.read(begun[0], 1) == b"x"
    ask_wsgi(middleware)
    assert active(registry) == 1
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert active(registry) == 0
