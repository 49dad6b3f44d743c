"""Flask's test client: what is asked of it is recorded at once, whether or not the test reads the body."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, send_file
from http_driver import active, ended, sent
from werkzeug.test import Client

import tallymark as tm
from tallymark.integrations import flask
from tallymark.integrations.wsgi import MetricsMiddleware


def app_of(registry: tm.Registry, way: str) -> Flask:
    app = Flask("tests", static_folder=None)
    app.logger.disabled = True
    app.add_url_rule("/hello", "hello", lambda: "hello")
    app.add_url_rule("/empty", "empty", lambda: ("", 204))
    app.add_url_rule("/file", "file", lambda: send_file(io.BytesIO(b"12345"), "text/plain"))
    app.add_url_rule("/fails", "fails", lambda: {}["x"])
    app.add_url_rule("/stream", "stream", lambda: Response(endless()))
    if way == "instrument":
        flask.instrument(app, registry=registry)
    else:
        app.wsgi_app = MetricsMiddleware(app.wsgi_app, registry=registry)  # type: ignore[method-assign]
    return app


def endless() -> Iterator[str]:
    while True:
        yield "more"


@pytest.mark.parametrize("way", ["instrument", "wsgi"])
@pytest.mark.parametrize(
    ("method", "path", "status", "size"),
    [
        ("GET", "/hello", "200", 5), ("HEAD", "/hello", "200", 0), ("GET", "/empty", "204", 0), ("GET", "/file", "200", 5),
        ("GET", "/fails", "500", None), ("GET", "/none", "404", None), ("OPTIONS", "/hello", "200", 0),
    ],
)  # fmt: skip
def test_a_request_has_ended_when_the_client_has_its_response(
    registry: tm.Registry, way: str, method: str, path: str, status: str, size: int | None
) -> None:
    response = app_of(registry, way).test_client().open(path, method=method)
    ((_, _, recorded, _),) = ended(registry)
    assert (recorded, active(registry), response.status_code) == (status, 0, int(status))
    assert size is None or sent(registry) == (1, size)
    expected = {"/hello": b"hello" * (method == "GET"), "/file": b"12345"}.get(path)
    assert expected is None or response.data == expected
    response.close()
    assert sum(ended(registry).values()) == 1


@pytest.mark.parametrize("way", ["instrument", "wsgi"])
def test_a_stream_is_read_as_far_as_the_test_does(registry: tm.Registry, way: str) -> None:
    response = app_of(registry, way).test_client().get("/stream")
    assert (active(registry), ended(registry)) == (1, {})
    parts = response.iter_encoded()
    assert [next(parts), next(parts)] == [b"more"] * 2
    response.close()
    assert (active(registry), sum(ended(registry).values())) == (0, 1)


def test_a_response_is_closed_when_the_test_closes_it(registry: tm.Registry) -> None:
    app, closed = app_of(registry, "instrument"), []

    @app.after_request
    def note(response: Any) -> Any:
        response.call_on_close(lambda: closed.append(True))
        return response

    response = app.test_client().get("/hello")
    assert closed == []
    response.close()
    assert closed == [True]


@pytest.mark.parametrize(("kind", "has_ended"), [(list, True), (tuple, True), (iter, False)])
def test_any_application_can_be_asked_by_the_client(registry: tm.Registry, kind: Any, has_ended: bool) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return kind([b"a", b"b"])

    response = Client(MetricsMiddleware(app, registry=registry)).get("/")
    assert (active(registry) == 0) is has_ended
    assert response.data.startswith(b"ab")
    assert (active(registry), ended(registry)) == (0, {("GET", None, "200", None): 1})


def test_an_application_that_raises_or_is_within_another_one_is_as_it_was(registry: tm.Registry) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/raises":
            raise KeyError
        start_response("200 OK", [])
        return [b"a"]

    client = Client(MetricsMiddleware(MetricsMiddleware(app, registry=registry), registry=registry))
    with pytest.raises(KeyError):
        client.get("/raises")
    assert client.get("/").data == b"a"
    assert ended(registry) == {("GET", None, "500", "KeyError"): 1, ("GET", None, "200", None): 1}
