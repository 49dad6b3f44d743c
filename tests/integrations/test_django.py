"""Django's middleware, below both of Django's handlers: what it calls routes, when requests end, what it survives."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import string
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django")

import django
import django_site
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from http_driver import Exchange, active, ask, ask_wsgi, ended, environ_of, received, scope_of, seconds, sent, series_of

import tallymark as tm
from tallymark.integrations.asgi import MetricsMiddleware as ASGIMetricsMiddleware
from tallymark.integrations.django import MetricsMiddleware
from tallymark.integrations.http_metrics import DURATION
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware

pytestmark = [  # Django leaves it open where an exception is handed on
    pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.Spooled:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <function SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"
    ),
]

FIRST = "tallymark.integrations.django.MetricsMiddleware"
PATIENCE = 30.0

Answer = tuple[int | None, bytes]
Ask = Callable[..., Answer]


@pytest.fixture
def registry() -> Iterator[tm.Registry]:
    """A fresh registry, the current one. The record path is not near, so one engine will do."""
    made = tm.Registry()
    with tm.use(made):
        yield made


def wsgi(path: str, method: str = "GET", **more: Any) -> Answer:
    """Send a request to the project below `get_wsgi_application()`."""
    path, _, query = path.partition("?")
    status, body = ask_wsgi(WSGIHandler(), path, method, QUERY_STRING=query, **more)
    return (None if status is None else int(status[:3])), body


def asgi(path: str, method: str = "GET", **more: Any) -> Answer:
    """Send a request to the project below `get_asgi_application()`."""
    path, _, query = path.partition("?")
    headers = [(name[5:].replace("_", "-").lower().encode(), value.encode()) for name, value in more.items()]
    exchange = Exchange()
    scope = {"headers": headers, "query_string": query.encode()}
    asyncio.run(ask(ASGIHandler(), path, method, exchange, **scope))
    return exchange.status, exchange.body


@pytest.fixture(params=[wsgi, asgi], ids=["wsgi", "asgi"])
def server(request: pytest.FixtureRequest, registry: tm.Registry) -> Ask:
    return request.param  # type: ignore[no-any-return]


# Routes


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/later/", "/later/"),
        ("/class/", "/class/"),
        ("/template/", "/template/"),
        ("/articles/", "/articles/"),
        ("/articles/1999/", "/articles/<int:year>/"),
        ("/articles/1999/a-title/", "/articles/<int:year>/<slug:title>/"),
        ("/articles/archive/1999/", "/articles/archive/(?P<year>[0-9]{4})/"),
        ("/again/articles/1999/", "/again/articles/<int:year>/"),
        ("/old/7/", r"/old/(\d+)/"),
        ("/en/shop/thing/", "/<language>/shop/<slug:item>/"),
        ("/de/shop/thing/", "/<language>/shop/<slug:item>/"),
    ],
)
def test_a_route_is_the_whole_template(server: Ask, registry: tm.Registry, path: str, route: str) -> None:
    assert server(path)[0] == 200
    assert ended(registry) == {("GET", route, "200", None): 1}
    assert active(registry) == 0


@pytest.mark.parametrize("path", ["/admin/", "/admin/auth/user/"])
def test_the_admin_has_routes_too(server: Ask, registry: tm.Registry, path: str) -> None:
    assert server(path)[0] == 302
    assert ended(registry) == {("GET", path, "302", None): 1}


def test_one_of_a_model_is_a_template(server: Ask, registry: tm.Registry) -> None:
    assert server("/admin/auth/user/17/change/")[0] == 302
    assert ended(registry) == {("GET", "/admin/auth/user/<path:object_id>/change/", "302", None): 1}


@pytest.mark.parametrize("path", ["/none", "/articles/none/none/none/", "/fr/shop/thing/", "/" + "x" * 5000])
def test_what_matches_nothing_has_no_route(server: Ask, registry: tm.Registry, path: str) -> None:
    assert server(path)[0] == 404
    assert ended(registry) == {("GET", None, "404", None): 1}


def test_a_path_that_begins_like_a_language_is_no_language(server: Ask, registry: tm.Registry) -> None:
    from django.conf.urls.i18n import i18n_patterns
    from django.urls import path

    class Both:
        urlpatterns = [path("en/<int:number>/", django_site.hello), *i18n_patterns(path("shop/", django_site.hello))]

    with override_settings(ROOT_URLCONF=Both):
        server("/en/1/")
        server("/de/shop/")
    assert ended(registry) == {("GET", "/en/<int:number>/", "200", None): 1, ("GET", "/<language>/shop/", "200", None): 1}


# Errors


@pytest.mark.parametrize(("path", "status"), [("/missing/", "404"), ("/forbidden/", "403"), ("/suspicious/", "400")])
def test_what_django_answers_for_a_view_is_no_error(server: Ask, registry: tm.Registry, path: str, status: str) -> None:
    assert server(path)[0] == int(status)
    assert ended(registry) == {("GET", path, status, None): 1}


@pytest.mark.parametrize("path", ["/fails/", "/fails/later/"])
def test_a_view_that_raises_is_told_by_its_exception(server: Ask, registry: tm.Registry, path: str) -> None:
    status, body = server(path)
    assert (status, b"Server Error" in body) == (500, True)
    assert ended(registry) == {("GET", path, "500", "ZeroDivisionError"): 1}
    assert sent(registry) == (1, len(body))
    assert active(registry) == 0


def test_so_is_a_middleware(server: Ask, registry: tm.Registry) -> None:
    assert server("/", HTTP_X_FAIL="yes")[0] == 500
    assert ended(registry) == {("GET", None, "500", "LookupError"): 1}


def test_an_exception_that_is_handed_on_is_recorded_and_handed_on(server: Ask, registry: tm.Registry) -> None:
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
        assert server("/fails/")[0] is None
    assert ended(registry) == {("GET", "/fails/", "500", "ZeroDivisionError"): 1}
    assert active(registry) == 0


def test_an_exception_that_another_middleware_answers_is_no_error(server: Ask, registry: tm.Registry) -> None:
    with override_settings(MIDDLEWARE=[FIRST, "django_site.forgiving"]):
        assert server("/fails/") == (400, b"forgiven")
    assert ended(registry) == {("GET", "/fails/", "400", None): 1}


# Bodies


@pytest.mark.parametrize("kind", ["", "later/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_a_stream_is_counted_to_its_end(server: Ask, registry: tm.Registry, kind: str) -> None:
    assert server(f"/stream/{kind}3/") == (200, b"chunk" * 3)
    assert ended(registry) == {("GET", f"/stream/{kind}<int:number>/", "200", None): 1}
    assert sent(registry) == (1, 15)


@pytest.mark.parametrize("kind", ["", "later/"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_a_stream_that_fails_is_an_error(server: Ask, registry: tm.Registry, kind: str) -> None:
    server(f"/stream/{kind}3/?fail")
    assert ended(registry) == {("GET", f"/stream/{kind}<int:number>/", "200", "ZeroDivisionError"): 1}
    assert active(registry) == 0


def test_the_clock_stops_when_the_server_has_the_last_byte(registry: tm.Registry) -> None:
    body: Any = WSGIHandler()(environ_of("/stream/3/"), lambda status, headers: None)
    with closing(body):
        assert next(iter(body)) == b"chunk"
        assert active(registry) == 1
        assert not ended(registry)
    assert active(registry) == 0
    assert sent(registry) == (1, 5)


def test_a_client_that_leaves_amid_a_stream_ends_its_request(registry: tm.Registry) -> None:
    class Leaving(Exchange):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message.get("body"):
                raise OSError("the client has gone")

    asyncio.run(ask(ASGIHandler(), "/stream/later/3/", exchange=Leaving()))
    gc.collect()  # Django closes a response only of a request that it has answered
    assert ended(registry) == {("GET", "/stream/later/<int:number>/", "200", None): 1}
    assert active(registry) == 0


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_a_file_is_as_large_as_its_headers_tell(server: Ask, registry: tm.Registry) -> None:
    assert server("/file/") == (200, b"x" * 10_000)
    assert sent(registry) == (1, 10_000)


def test_a_server_still_sends_a_file_in_its_own_way(registry: tm.Registry) -> None:
    class Wrapper:
        def __init__(self, file: Any, size: int) -> None:
            self.close = file.close

    body = WSGIHandler()(environ_of("/file/", **{"wsgi.file_wrapper": Wrapper}), lambda status, headers: None)
    assert isinstance(body, Wrapper)
    assert active(registry) == 1
    body.close()
    assert active(registry) == 0
    assert sent(registry) == (1, 10_000)


def test_a_response_without_a_body_has_none(server: Ask, registry: tm.Registry) -> None:
    server("/", "HEAD")
    assert ended(registry) == {("HEAD", "/", "200", None): 1}
    assert sent(registry) == (1, 0)


def test_the_size_of_a_request_is_what_it_says(registry: tm.Registry) -> None:
    import io

    body = b"x" * 123
    assert wsgi("/class/", "POST", CONTENT_LENGTH="123", **{"wsgi.input": io.BytesIO(body)}) == (201, body)
    assert received(registry) == (1, 123)


@pytest.mark.parametrize("size", ["-1", "1e3", "9" * 30, "²", "x"])
def test_a_size_that_cannot_be_is_not_believed(registry: tm.Registry, size: str) -> None:
    wsgi("/", CONTENT_LENGTH=size)
    assert received(registry) == (0, 0)
    assert sum(ended(registry).values()) == 1


# Ends


@pytest.mark.skipif(django.VERSION < (5,), reason="Django 4 lets views work on")
def test_a_client_that_leaves_while_a_view_works_cancels_it(registry: tm.Registry) -> None:
    async def main() -> None:
        called, cancelled = asyncio.Event(), asyncio.Event()
        django_site.hanging[:] = called, cancelled

        class Leaving(Exchange):
            async def receive(self) -> Any:
                message = await super().receive()
                if message["type"] == "http.disconnect":
                    await called.wait()
                    assert active(registry) == 1
                return message

        await ask(ASGIHandler(), "/hang/", exchange=Leaving([{"type": "http.request"}]))
        await cancelled.wait()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert ended(registry) == {("GET", "/hang/", None, None): 1}
    assert active(registry) == 0


def test_a_response_that_nobody_closes_ends_when_it_is_forgotten(registry: tm.Registry) -> None:
    middleware = MetricsMiddleware(lambda request: HttpResponse("hello"))
    response: Any = middleware(RequestFactory().get("/"))
    assert active(registry) == 1
    del response
    assert active(registry) == 0
    assert ended(registry) == {("GET", None, "200", None): 1}


def test_the_time_of_a_view_counts(registry: tm.Registry) -> None:
    import time

    def view(request: Any) -> HttpResponse:
        time.sleep(0.01)
        return HttpResponse("hello")

    MetricsMiddleware(view)(RequestFactory().get("/")).close()
    assert seconds(registry) >= 0.01


def test_a_response_can_still_be_cached(server: Ask, registry: tm.Registry) -> None:
    """The cache pickles responses, with what our middleware has hung on them, if it is outside of ours."""
    stack = ["django.middleware.cache.UpdateCacheMiddleware", FIRST, "django.middleware.cache.FetchFromCacheMiddleware"]
    django_site.cache.clear()
    with override_settings(MIDDLEWARE=stack):
        assert [server("/") for _ in range(3)] == [(200, b"hello")] * 3
    assert ended(registry) == {("GET", "/", "200", None): 1, ("GET", None, "200", None): 2}
    assert active(registry) == 0


@pytest.mark.parametrize("others", [False, True], ids=["same registry", "another registry"])
def test_a_project_within_a_middleware_of_ours_counts_once_in_each_registry(registry: tm.Registry, others: bool) -> None:
    above = tm.Registry() if others else registry
    ask_wsgi(WSGIMetricsMiddleware(WSGIHandler(), registry=above), "/")
    asyncio.run(ask(ASGIMetricsMiddleware(ASGIHandler(), registry=above), "/"))
    for each in (above, registry):
        assert sum(ended(each).values()) == 2
        assert active(each) == 0


# Settings


def test_the_metrics_are_served_at_a_path(server: Ask, registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    with override_settings(TALLYMARK={"metrics_path": "/internal/metrics"}):
        status, body = server("/internal/metrics")
        assert (status, b"hits_total 1.0" in body) == (200, True)
        assert server("/internal/metrics/healthz") == (200, b"ok\n")
        assert server("/internal/metrics", "HEAD") == (200, b"")
        assert server("/internal/metricsx")[0] == 404
    assert ended(registry) == {("GET", None, "404", None): 1}


def test_they_may_ask_for_credentials(server: Ask, registry: tm.Registry) -> None:
    with override_settings(TALLYMARK={"metrics_path": "/metrics", "auth": tm.BearerAuth("secret")}):
        assert server("/metrics")[0] == 401
        assert server("/metrics", HTTP_AUTHORIZATION="Bearer secret")[0] == 200


def test_routes_and_paths_are_left_out(server: Ask, registry: tm.Registry) -> None:
    with override_settings(TALLYMARK={"exclude": ["/healthz", "/articles/<int:year>/?*"]}):
        for path in ("/healthz", "/articles/1999/a-title/", "/articles/1999/"):
            assert server(path)[0] == 200
    assert ended(registry) == {("GET", "/articles/<int:year>/", "200", None): 1}
    assert active(registry) == 0


other = tm.Registry()


def tenant(request: Any, response: Any) -> dict[str, object]:
    if "fail" in request.GET:
        raise KeyError("tenant")
    return {"tenant": request.GET["tenant"], "type": response.headers["Content-Type"], "http.route": "not ours to say"}


def test_registry_and_tags_may_be_dotted_paths(server: Ask, registry: tm.Registry) -> None:
    with override_settings(TALLYMARK={"registry": f"{__name__}.other", "tags": f"{__name__}.tenant"}):
        server("/later/?tenant=blue")
    assert not ended(registry)
    [found] = [one for one in series_of(other, DURATION) if one.count]
    assert {key: found.tags[key] for key in ("tenant", "type", "http.route")} == {
        "tenant": "blue", "type": "text/html; charset=utf-8", "http.route": "/later/",
    }  # fmt: skip


def test_tags_that_fail_break_no_request(server: Ask, registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(TALLYMARK={"tags": tenant}):
        assert [server("/?fail=1")[0] for _ in range(3)] == [200] * 3
    assert ended(registry) == {("GET", "/", "200", None): 3}
    assert sum("tags= of the HTTP integration failed" in message for message in caplog.messages) == 1


@pytest.mark.parametrize(
    ("chosen", "error", "text"),
    [
        ({"path": "/metrics"}, ImproperlyConfigured, "TALLYMARK has no key 'path'; its keys are auth, exclude, metrics_path"),
        (["/metrics"], ImproperlyConfigured, "TALLYMARK must be a dictionary, not list"),
        ({"exclude": "/healthz"}, TypeError, "exclude must be a collection"),
        ({"metrics_path": "metrics"}, ValueError, "metrics_path must be a path"),
        ({"registry": "no.such.registry"}, ImportError, "No module named 'no'"),
        ({"registry": 7}, TypeError, "registry must be"),
        ({"tags": 7}, TypeError, "tags must be a function"),
        ({"auth": 7, "metrics_path": "/metrics"}, TypeError, "auth"),
    ],
)
def test_a_setting_that_is_wrong_is_an_error_at_the_start(
    registry: tm.Registry, chosen: Any, error: type[Exception], text: str
) -> None:
    with override_settings(TALLYMARK=chosen), pytest.raises(error, match=text):
        WSGIHandler()


def test_the_settings_of_the_page_are_all_that_is_needed(server: Ask, registry: tm.Registry) -> None:
    page = (Path(__file__).parents[2] / "docs" / "integrations" / "django.md").read_text(encoding="utf-8")
    chosen: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], chosen)
    with override_settings(MIDDLEWARE=chosen["MIDDLEWARE"], TALLYMARK=chosen["TALLYMARK"]):
        assert server("/articles/1999/")[0] == 200
        assert b'http_route="/articles/<int:year>/"' in server("/metrics")[1]


# Requests made to hurt


def hostile(generator: random.Random) -> dict[str, Any]:
    """Return the environ of a request that is random in all that a client may choose."""

    def text(size: int) -> str:
        return "".join(generator.choices(string.printable + "\0\x7f\xff<>é", k=size))

    path = generator.choice(["/", "/articles/", "/en/", "/admin/", "/stream/1/", "/fails/", "//", "/../"]) + text(8)
    environ = environ_of(path, generator.choice(["GET", "get", "POST", text(5), "", "DELETE"]))
    environ |= {"HTTP_HOST": text(9), "QUERY_STRING": text(9), "SERVER_PROTOCOL": generator.choice(["HTTP/1.1", text(4), ""])}
    environ |= {
        "wsgi.url_scheme": generator.choice(["http", "https", text(3)]),
        "CONTENT_LENGTH": generator.choice(["", "0", text(3)]),
    }
    return environ | {f"HTTP_{text(4)}": text(9), "HTTP_X_FORWARDED_PROTO": text(4), "HTTP_TRANSFER_ENCODING": text(4)}


@pytest.mark.slow
def test_random_requests_make_no_series_of_their_own(registry: tm.Registry) -> None:
    generator = random.Random(7)
    handler = WSGIHandler()

    def attack(count: int) -> int:
        for _ in range(count):
            body: Any = handler(hostile(generator), lambda status, headers: None)
            list(body)
            body.close()
        return len({(one.tags["http.request.method"], one.tags["url.scheme"]) for one in series_of(registry, DURATION)})

    attack(200)
    before = attack(200)
    assert attack(800) == before <= 6 * 3
    routes = {one.tags.get("http.route") for one in series_of(registry, DURATION)}
    assert routes <= {None, "/", "/articles/", "/fails/", "/admin/(?P<url>.*)", "/stream/<int:number>/", "/admin/"}
    assert active(registry) == 0
    assert sum(ended(registry).values()) == 1_200


def test_a_scope_that_lacks_what_servers_may_leave_out(registry: tm.Registry) -> None:
    scope = {key: value for key, value in scope_of("/").items() if key not in ("scheme", "http_version", "client", "server")}
    exchange = Exchange()
    asyncio.run(ASGIHandler()(scope, exchange.receive, exchange.send))
    assert exchange.status == 200
    assert ended(registry) == {("GET", "/", "200", None): 1}
