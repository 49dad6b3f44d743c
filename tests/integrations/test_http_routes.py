"""Routes are the framework's templates, whatever they are below; what matched none has none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from flask import Blueprint, Flask
from flask.views import MethodView
from http_driver import active, ask, ask_wsgi, ended, hello
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import tallymark as tm
from tallymark.integrations import fastapi, flask, starlette
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


class Class(HTTPEndpoint):
    def get(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse("hello")


def route_of(app: Any, registry: tm.Registry, path: str, method: str = "GET", **more: Any) -> tuple[str | None, str | None]:
    """Return route and status of one request, as recorded."""
    before = ended(registry)
    asyncio.run(ask(app, path, method, **more))
    assert active(registry) == 0
    after = ended(registry)
    (found,) = [way for way, count in after.items() if count > before.get(way, 0)]
    return found[1], found[2]


def starlette_app(tmp: Any) -> Starlette:
    inner = Starlette(routes=[Route("/deep/{x:int}", answer), Route("/", answer)])
    shared = Router(routes=[Route("/same/{id}", answer), Mount("/more/{kind}", routes=[Route("/same/{id}", answer)])])
    return Starlette(
        routes=[
            Route("/", answer),
            Route("/users/{id:int}", answer, methods=["GET", "POST"]),
            Route("/files/{path:path}", answer),
            Route("/class/{id}", Class),
            Route("/partial", hello()),
            Mount("/tenants/{tenant}", inner),
            Mount("/v1", shared),
            Mount("/v2", shared),
            Mount("/static", StaticFiles(directory=tmp)),
            Mount("/opaque", hello()),
            Mount("/wrapped", MetricsMiddleware(inner)),
            Host("api.example.org", Router(routes=[Route("/of-host/{id}", answer)])),
        ]
    )


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/users/7", "/users/{id:int}"),
        ("/files/a/b/c", "/files/{path:path}"),
        ("/class/7", "/class/{id}"),
        ("/tenants/acme/deep/7", "/tenants/{tenant}/deep/{x:int}"),
        ("/tenants/acme/", "/tenants/{tenant}/"),
        ("/v1/same/7", "/v1/same/{id}"),
        ("/v2/same/7", "/v2/same/{id}"),
        ("/v2/more/a/same/7", "/v2/more/{kind}/same/{id}"),
        ("/static/page.txt", "/static/{path}"),
        ("/opaque/a/b", "/opaque/{path}"),
        ("/wrapped/deep/7", "/wrapped/deep/{x:int}"),
        ("/of-host/7", "/of-host/{id}"),
    ],
)
@pytest.mark.parametrize("way", ["instrument", "add_middleware", "around", "around more"])
def test_routes_of_starlette(registry: tm.Registry, tmp_path: Any, way: str, path: str, route: str) -> None:
    (tmp_path / "page.txt").write_text("hello")
    app: Any = starlette_app(tmp_path)
    if way == "instrument":
        starlette.instrument(app, registry=registry)
    elif way == "add_middleware":
        app.add_middleware(MetricsMiddleware, registry=registry)
    else:
        app = MetricsMiddleware(Around(app) if way == "around more" else app, registry=registry)
    host = b"api.example.org" if "host" in path else b"localhost"
    assert route_of(app, registry, path, headers=[(b"host", host)]) == (route, "200")


class Around:
    """Some other middleware."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.mark.parametrize("path", ["/nothing", "/tenants/acme/nothing", "/users/abc", "/v1/nothing", "/of-host/7"])
def test_what_matches_no_route_of_starlette_has_none(registry: tm.Registry, tmp_path: Any, path: str) -> None:
    app = starlette_app(tmp_path)
    starlette.instrument(app, registry=registry)
    assert route_of(app, registry, path) == (None, "404")


def test_methods_of_starlette(registry: tm.Registry, tmp_path: Any) -> None:
    app = starlette_app(tmp_path)
    starlette.instrument(app, registry=registry)
    assert route_of(app, registry, "/users/7", "DELETE") == ("/users/{id:int}", "405")
    assert route_of(app, registry, "/users/7", "HEAD") == ("/users/{id:int}", "200")
    assert route_of(app, registry, "/users/7", "PROPFIND") == ("/users/{id:int}", "405")
    assert route_of(app, registry, "/class/7", "OPTIONS") == ("/class/{id}", "405")
    assert route_of(app, registry, "/tenants/acme/deep/7", "PUT") == ("/tenants/{tenant}/deep/{x:int}", "405")
    assert route_of(app, registry, "/users/7/") == (None, "307")  # to /users/7


@pytest.mark.parametrize(
    ("path", "route"),
    [("/root/users/7", "/users/{id:int}"), ("/users/7", "/users/{id:int}"), ("/root/v2/same/7", "/v2/same/{id}")],
)
def test_a_root_path_is_no_part_of_a_route(registry: tm.Registry, tmp_path: Any, path: str, route: str) -> None:
    app = starlette_app(tmp_path)
    starlette.instrument(app, registry=registry)
    assert route_of(app, registry, path, root_path="/root") == (route, "200")


def test_routes_that_are_added_later(registry: tm.Registry) -> None:
    app = Starlette(routes=[Route("/a", answer)])
    starlette.instrument(app, registry=registry)
    assert route_of(app, registry, "/a") == ("/a", "200")
    app.router.routes.append(Route("/later/{id}", Class))
    assert route_of(app, registry, "/later/7") == ("/later/{id}", "200")


@pytest.mark.parametrize("mount", ["/in", "/tenants/{tenant}", "/a/b"])
@pytest.mark.parametrize("is_measured", [True, False], ids=["outer too", "inner alone"])
def test_an_application_that_is_mounted_names_its_routes_from_the_first_request_on(
    registry: tm.Registry, mount: str, is_measured: bool
) -> None:
    inner = Starlette(
        routes=[Route("/items/{id}", answer), Route("/same/{id}", answer), Mount("/more", routes=[Route("/one", Class)])]
    )
    outer = Starlette(routes=[Mount(mount, inner)])
    starlette.instrument(inner, registry=registry)
    if is_measured:
        starlette.instrument(outer, registry=tm.Registry())
    prefix = mount.replace("{tenant}", "acme")
    for path, route in (
        ("/items/4", "/items/{id}"),
        ("/same/4", "/same/{id}"),
        ("/items/5", "/items/{id}"),
        ("/more/one", "/more/one"),
    ):
        assert route_of(outer, registry, prefix + path) == (route, "200")


def test_one_endpoint_at_two_places(registry: tm.Registry) -> None:
    app = Starlette(
        routes=[
            Route("/both/{a}", answer, methods=["GET"]),
            Route("/{b}/both", answer, methods=["GET"]),
            Route("/both/{c}", answer, methods=["PUT"]),
        ]
    )
    starlette.instrument(app, registry=registry)
    assert route_of(app, registry, "/both/7") == ("/both/{a}", "200")
    assert route_of(app, registry, "/7/both") == ("/{b}/both", "200")
    assert route_of(app, registry, "/both/7", "PUT") == ("/both/{c}", "200")


def fastapi_app() -> FastAPI:
    app = FastAPI()
    items = APIRouter(prefix="/items")

    @items.get("/{item_id}")
    @items.post("/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    @items.get("/")
    async def all_items() -> int:
        return 1

    inner = APIRouter(prefix="/inner")
    inner.include_router(items)
    app.include_router(items)
    app.include_router(items, prefix="/v2")
    app.include_router(inner, prefix="/v3/{tenant}")
    below = FastAPI()
    below.include_router(items, prefix="/api")
    app.mount("/sub/{tenant}", below)
    app.mount("/plain", hello())

    @app.get("/fails")
    async def fails() -> None:
        raise KeyError("fails")

    return app


@pytest.mark.parametrize(
    ("path", "method", "route", "status"),
    [
        ("/items/7", "GET", "/items/{item_id}", "200"),
        ("/items/", "GET", "/items/", "200"),
        ("/items/7", "POST", "/items/{item_id}", "200"),
        ("/items/7", "DELETE", "/items/{item_id}", "405"),
        ("/items/x", "GET", "/items/{item_id}", "422"),
        ("/v2/items/7", "GET", "/v2/items/{item_id}", "200"),
        ("/v3/acme/inner/items/7", "GET", "/v3/{tenant}/inner/items/{item_id}", "200"),
        ("/sub/acme/api/items/7", "GET", "/sub/{tenant}/api/items/{item_id}", "200"),
        ("/sub/acme/openapi.json", "GET", "/sub/{tenant}/openapi.json", "200"),
        ("/plain/a/b", "GET", "/plain/{path}", "200"),
        ("/openapi.json", "GET", "/openapi.json", "200"),
        ("/fails", "GET", "/fails", "500"),
        ("/sub/acme/nothing", "GET", None, "404"),
        ("/nothing", "GET", None, "404"),
    ],
)
@pytest.mark.parametrize("way", ["instrument", "add_middleware"])
def test_routes_of_fastapi(registry: tm.Registry, way: str, path: str, method: str, route: str | None, status: str) -> None:
    app = fastapi_app()
    if way == "instrument":
        fastapi.instrument(app, registry=registry)
    else:
        app.add_middleware(MetricsMiddleware, registry=registry)
    assert route_of(app, registry, path, method) == (route, status)


def flask_app() -> Flask:
    app = Flask("tests", static_folder=None)
    users = Blueprint("users", "tests", url_prefix="/users")
    nested = Blueprint("nested", "tests", url_prefix="/nested")

    @users.get("/<int:user_id>")
    def user(user_id: int) -> str:
        return "hello"

    @nested.route("/<path:name>", methods=["GET", "POST"])
    def deep(name: str) -> str:
        return "hello"

    @app.get("/fails")
    def fails() -> None:
        raise KeyError("fails")

    @app.get("/slash/")
    def slash() -> str:
        return "hello"

    class View(MethodView):
        def get(self, number: int) -> str:
            return "hello"

    users.register_blueprint(nested)
    app.register_blueprint(users)
    app.add_url_rule("/view/<int:number>", view_func=View.as_view("view"))
    return app


@pytest.mark.parametrize(
    ("path", "method", "way"),
    [
        ("/users/7", "GET", ("/users/<int:user_id>", "200", None)),
        ("/users/7", "HEAD", ("/users/<int:user_id>", "200", None)),
        ("/users/7", "OPTIONS", ("/users/<int:user_id>", "200", None)),
        ("/users/7", "DELETE", ("/users/<int:user_id>", "405", None)),
        ("/users/nested/a/b", "POST", ("/users/nested/<path:name>", "200", None)),
        ("/view/7", "GET", ("/view/<int:number>", "200", None)),
        ("/view/7", "POST", ("/view/<int:number>", "405", None)),
        ("/fails", "GET", ("/fails", "500", "KeyError")),
        ("/slash", "GET", (None, "308", None)),
        ("/users/abc", "GET", (None, "404", None)),
        ("/nothing", "GET", (None, "404", None)),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_routes_of_flask(registry: tm.Registry, path: str, method: str, way: tuple[Any, ...], debug: bool) -> None:
    app = flask_app()
    app.testing = debug  # then exceptions go to the server
    app.logger.disabled = True
    flask.instrument(app, registry=registry)
    ask_wsgi(app, path, method)
    assert ended(registry) == {(method, *way): 1}
    assert active(registry) == 0


def test_routes_of_flask_applications_that_are_dispatched_to(registry: tm.Registry) -> None:
    dispatcher = DispatcherMiddleware(flask_app(), {"/a": flask_app(), "/a/b": flask_app()})
    app = WSGIMetricsMiddleware(dispatcher, registry=registry)
    for path in ("/users/7", "/a/users/7", "/a/b/users/7", "/a/nothing"):
        ask_wsgi(app, path)
    assert {route for _, route, *_ in ended(registry)} == {
        "/users/<int:user_id>", "/a/users/<int:user_id>", "/a/b/users/<int:user_id>", None,
    }  # fmt: skip
