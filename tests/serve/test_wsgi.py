"""`wsgi_app`: the pages in WSGI servers, held to PEP 3333 by the validator of the standard library."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import flask
import hypothesis.strategies as st
import pytest
from hypothesis import given
from raw_http import PATIENCE, Client, Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import tallymark as tm
from tallymark.serve.pages import PageRequest, page
from tallymark.serve.wsgi import WSGIApp


@pytest.fixture
def registry() -> tm.Registry:
    """A fresh registry. The record path is not near, so one engine will do."""
    return tm.Registry()


class Unread(io.BytesIO):
    """The body of a request, which nobody may read."""

    def read(self, *args: object) -> bytes:
        raise AssertionError("the body of a request is not read")

    readline = readlines = __iter__ = read  # type: ignore[assignment]


def call(app: Any, method: str = "GET", path: str = "/metrics", **environ: str) -> Response:
    """Call an app as a server would."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        started.append((status, headers))
        return lambda data: None

    given: dict[str, Any] = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    given |= {"wsgi.input": Unread()} | environ
    setup_testing_defaults(given)
    answer = app(given, start_response)
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    [(status, headers)] = started
    return Response(int(status[:3]), {name.lower(): value for name, value in headers}, body)


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD:wsgiref.validate.WSGIWarning")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "get"])
@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/healthz", "/", "/nothing"])
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_pages_are_those_of_the_endpoint(registry: tm.Registry, method: str, path: str, encoding: str) -> None:
    registry.counter("hits").inc(3, route="/")
    got = call(validator(tm.wsgi_app(registry)), method, path, HTTP_ACCEPT_ENCODING=encoding)
    wanted = page(PageRequest(method, path, "", {"accept-encoding": encoding}, feed="poll"), registry)
    names = {name.lower(): value for name, value in wanted.headers}
    assert (got.status, got.fields) == (wanted.status, {**names, "content-length": str(len(wanted.body))})
    assert got.body == (b"" if method == "HEAD" else wanted.body)


@pytest.mark.parametrize(
    ("script_name", "path", "status", "is_metrics"),
    [
        ("/metrics", "", 200, True), ("/metrics", "/", 200, True), ("/a/b", "/metrics", 200, True),
        ("/a", "/healthz", 200, False),
        ("/a", "/b", 404, False), ("", "/", 200, False), ("", "", 200, False), ("", "/a/metrics", 404, False),
    ],
)  # fmt: skip
def test_below_a_prefix(registry: tm.Registry, script_name: str, path: str, status: int, is_metrics: bool) -> None:
    got = call(tm.wsgi_app(registry), path=path, SCRIPT_NAME=script_name)
    assert (got.status, "version=" in got.fields["content-type"]) == (status, is_metrics)


def test_the_body_is_one_piece_that_the_server_can_send_as_it_is(registry: tm.Registry) -> None:
    environ: dict[str, Any] = {"PATH_INFO": "/metrics"}
    setup_testing_defaults(environ)
    answer = tm.wsgi_app(registry)(environ, lambda status, headers, exc_info=None: lambda data: None)
    assert [type(piece) for piece in answer] == [bytes]


def test_the_current_registry_is_the_default(registry: tm.Registry) -> None:
    registry.counter("mine").inc()
    with tm.use(registry):
        app = tm.wsgi_app()
    assert b"mine_total 1.0\n" in call(app).body
    assert repr(app) == f"<WSGIApp of {registry!r}>"


def test_what_is_no_registry_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="registry must be a Registry, not str"):
        tm.wsgi_app("default")  # type: ignore[arg-type]


def test_credentials_are_asked_for_as_the_endpoint_does(registry: tm.Registry) -> None:
    app = validator(tm.wsgi_app(registry, auth=tm.BearerAuth("tøken")))
    refused = call(app)
    assert (refused.status, refused.body) == (401, b"401 Unauthorized\n")
    assert refused.fields["www-authenticate"] == 'Bearer realm="metrics"'
    assert call(app, HTTP_AUTHORIZATION="Bearer tøken".encode().decode("latin-1")).status == 200
    assert call(app, HTTP_AUTHORIZATION="Bearer t\u20acken").status == 401
    assert call(app, path="/healthz").status == 200


def test_a_failure_to_render_is_a_page_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(tm.Registry):
        def snapshot(self) -> tm.Snapshot:
            raise RuntimeError("a secret")

    got = call(validator(tm.wsgi_app(Broken())))
    assert (got.status, got.body) == (500, b"500 Internal Server Error\n")
    assert "a secret" in caplog.text


@given(
    method=st.text(), path=st.text(st.characters(exclude_categories=[])), query=st.text(),
    fields=st.dictionaries(st.sampled_from(["HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_AUTHORIZATION", "HTTP_"]), st.text()),
)  # fmt: skip
def test_any_request_is_answered(method: str, path: str, query: str, fields: dict[str, str]) -> None:
    app = tm.wsgi_app(tm.Registry(), auth=tm.BasicAuth("user", "password"))
    assert call(app, method, path, QUERY_STRING=query, **fields).status in (200, 401, 405)


# Servers


@contextmanager
def served(app: Any) -> Iterator[Any]:
    """Serve an app with the standard library's server."""

    class Silent(WSGIRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield type("Address", (), {"port": server.server_port, "url": ""})
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def raw_get(server: Any, path: str, method: str = "GET") -> bytes:
    with Client(server) as client:
        client.send(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: client.socket.recv(65_536), b""))


def test_in_the_server_of_the_standard_library(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    app: WSGIApp = tm.wsgi_app(registry)
    with served(validator(app)) as server:
        assert b"\nhits_total 1.0\n" in raw_get(server, "/metrics")
        assert raw_get(server, "/metrics", "HEAD").endswith(b"\r\n\r\n")
        assert raw_get(server, "/nothing").startswith(b"HTTP/1.0 404 Not Found\r\n")


def test_mounted_in_flask(registry: tm.Registry) -> None:
    registry.counter("hits").inc()
    application = flask.Flask("service")
    application.add_url_rule("/", view_func=lambda: "hello")
    application.wsgi_app = DispatcherMiddleware(application.wsgi_app, {"/metrics": tm.wsgi_app(registry)})  # type: ignore[method-assign]
    client = application.test_client()
    assert client.get("/").data == b"hello"
    for path in ("/metrics", "/metrics/"):
        got = client.get(path)
        assert (got.status_code, got.content_type) == (200, tm.PROMETHEUS_CONTENT_TYPE)
        assert b"hits_total 1.0\n" in got.data
    assert client.get("/metrics/healthz").data == b"ok\n"
    assert client.post("/metrics", data=b"x" * 1000).status_code == 405
