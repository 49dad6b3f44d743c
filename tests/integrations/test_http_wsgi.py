"""The metrics of any WSGI application: what counts as the end of a request, and what is recorded of it."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from http_driver import active, ask_wsgi, ended, environ_of, received, seconds, sent, series_of

import tallymark as tm
from tallymark.integrations import exchange as exchange_module
from tallymark.integrations import wsgi_response
from tallymark.integrations.http_metrics import DURATION
from tallymark.integrations.wsgi import MetricsMiddleware

Writes = Callable[[bytes], object]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that stands still until it is set."""

    class Clock:
        now = 100.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    for module in (exchange_module, wsgi_response):
        monkeypatch.setattr(module, "perf_counter", clock)
    return clock


class Body:
    """A body that tells whether it was closed."""

    def __init__(self, *parts: Any) -> None:
        self.parts = iter(parts)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, BaseException):
                raise part
            yield part() if callable(part) else part

    def close(self) -> None:
        self.closed += 1


def answers(body: Any, status: str = "200 OK") -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [])
        return body

    return app


def ignore(status: str, headers: Any, exc_info: Any = None) -> Writes:
    return lambda data: None


def test_a_request_is_recorded_as_the_convention_says(registry: tm.Registry) -> None:
    got = ask_wsgi(MetricsMiddleware(answers([b"hello", b" you"]), registry=registry), CONTENT_LENGTH="12")
    assert got == ("200 OK", b"hello you")
    (series,) = series_of(registry, DURATION)
    assert dict(series.tags) == {
        "http.request.method": "GET", "http.response.status_code": "200", "network.protocol.version": "1.1",
        "url.scheme": "http",
    }  # fmt: skip
    assert (received(registry), sent(registry), active(registry)) == ((1, 12), (1, 9), 0)


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({}, (1, 0)),
        ({"CONTENT_LENGTH": ""}, (1, 0)),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, (0, 0)),
        *[({"CONTENT_LENGTH": wrong}, (0, 0)) for wrong in ("-1", "1e3", "١٢", " 5", "9" * 5000, "0x10", 12, b"12")],
    ],
)
def test_the_size_of_a_request_is_what_its_header_tells(registry: tm.Registry, headers: Any, size: Any) -> None:
    ask_wsgi(MetricsMiddleware(answers([]), registry=registry), **headers)
    assert received(registry) == size


@pytest.mark.parametrize(
    ("protocol", "version"), [("HTTP/1.0", "1.0"), ("HTTP/2", "2"), ("HTTP/9", None), ("INCLUDED", None), ("", None)]
)
def test_the_version_of_http_is_bounded(registry: tm.Registry, protocol: str, version: str | None) -> None:
    ask_wsgi(MetricsMiddleware(answers([]), registry=registry), SERVER_PROTOCOL=protocol)
    (series,) = series_of(registry, DURATION)
    assert series.tags.get("network.protocol.version") == version


# The end of a request


def test_the_clock_stops_when_the_last_byte_was_taken(registry: tm.Registry, clock: Any) -> None:
    def tick() -> bytes:
        clock.now += 1
        return b"x"

    class Late(Body):
        def close(self) -> None:
            assert active(registry) == 0
            clock.now += 1000  # what Flask does with call_on_close
            super().close()

    body = Late(tick, tick, tick)
    ask_wsgi(MetricsMiddleware(answers(body), registry=registry))
    assert (seconds(registry), sent(registry), body.closed) == (3.0, (1, 3), 1)


def test_a_generator_that_is_abandoned_in_the_midst_is_closed_and_ends(registry: tm.Registry, clock: Any) -> None:
    body = Body(b"a", b"b", b"c")
    response = MetricsMiddleware(answers(body), registry=registry)(environ_of(), ignore)
    iterator = iter(response)
    assert next(iterator) == b"a"
    assert active(registry) == 1
    clock.now += 2
    response.close()
    clock.now += 1000
    response.close()
    assert (active(registry), seconds(registry), sent(registry)) == (0, 2.0, (1, 1))
    assert body.closed == 2  # as often as the server closes
    assert ended(registry) == {("GET", None, "200", None): 1}


def test_a_response_that_nobody_closes_ends_when_it_is_forgotten(registry: tm.Registry) -> None:
    response = MetricsMiddleware(answers(Body(b"a", b"b")), registry=registry)(environ_of(), ignore)
    next(iter(response))
    del response
    gc.collect()
    assert active(registry) == 0
    assert ended(registry) == {("GET", None, "200", None): 1}


@pytest.mark.parametrize("is_generator", [True, False])
def test_a_response_that_nobody_reads_nor_closes_ends_when_it_is_forgotten(registry: tm.Registry, is_generator: bool) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return (part for part in [b"a"]) if is_generator else [b"a"]

    MetricsMiddleware(app, registry=registry)(environ_of("/"), lambda status, headers: None)
    gc.collect()
    assert active(registry) == 0
    assert ended(registry) == {("GET", None, "200", None): 1}


def test_a_response_that_is_closed_before_it_is_read(registry: tm.Registry) -> None:
    body = Body(b"a")
    MetricsMiddleware(answers(body), registry=registry)(environ_of(), ignore).close()
    assert (active(registry), body.closed, sent(registry)) == (0, 1, (1, 0))


def test_what_is_written_counts(registry: tm.Registry) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"written, ")
        return [b"returned"]

    assert ask_wsgi(MetricsMiddleware(app, registry=registry)) == ("200 OK", b"written, returned")
    assert sent(registry) == (1, 17)


def test_a_response_that_begins_when_it_is_read(registry: tm.Registry) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("202 Accepted", [])
        yield b"late"

    assert ask_wsgi(MetricsMiddleware(app, registry=registry)) == ("202 Accepted", b"late")
    assert list(ended(registry)) == [("GET", None, "202", None)]


def test_a_server_sees_that_a_body_is_whole(registry: tm.Registry) -> None:
    middleware: Any = MetricsMiddleware(answers([b"one"]), registry=registry)
    response = middleware(environ_of(), ignore)
    assert (len(response), bool(response)) == (1, True)
    response = MetricsMiddleware(answers([]), registry=registry)(environ_of(), ignore)
    assert (len(response), bool(response)) == (0, True)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        len(MetricsMiddleware(answers(Body()), registry=registry)(environ_of(), ignore))  # type: ignore[arg-type]


def test_a_file_is_the_servers_to_send(registry: tm.Registry) -> None:
    wrapped = FileWrapper(io.BytesIO(b"hello"))
    response: Any = MetricsMiddleware(answers(wrapped), registry=registry)(
        environ_of(**{"wsgi.file_wrapper": FileWrapper}), ignore
    )
    assert response is wrapped
    assert active(registry) == 1
    response.close()
    assert (active(registry), sent(registry), wrapped.filelike.closed) == (0, (0, 0), True)


def test_a_file_wrapper_that_cannot_be_told_of_its_end_is_read_as_any_body(registry: tm.Registry) -> None:
    class Sealed:
        __slots__ = ()

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"hello"])

    got = ask_wsgi(MetricsMiddleware(answers(Sealed()), registry=registry), **{"wsgi.file_wrapper": Sealed})
    assert (got, sent(registry)) == (("200 OK", b"hello"), (1, 5))


def test_the_body_of_a_head_request_is_not_sent(registry: tm.Registry) -> None:
    ask_wsgi(MetricsMiddleware(answers([b"hello"]), registry=registry), method="HEAD")
    assert (list(ended(registry)), sent(registry)) == ([("HEAD", None, "200", None)], (1, 0))


# Applications that fail


def raises_before(environ: Any, start_response: Any) -> Any:
    raise KeyError("before")


def raises_when_begun(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    raise KeyError("begun")


def raises_within(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return Body(b"a", KeyError("within"))


def raises_after(environ: Any, start_response: Any) -> Any:
    class Fails(Body):
        def close(self) -> None:
            raise KeyError("after")

    start_response("200 OK", [])
    return Fails(b"a")


def replaces_its_answer(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    try:
        raise KeyError("handled")
    except KeyError as error:
        start_response("503 Busy", [], (KeyError, error, None))
    return []


def never_answers(environ: Any, start_response: Any) -> Any:
    return []


def answers_with_nothing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])


def exits(environ: Any, start_response: Any) -> Any:
    raise SystemExit


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ([("Content-Type", "text/plain"), ("content-length", "5")], (1, 5)), ([], (0, 0)), ([("Content-Length", "x")], (0, 0)),
        ([("Content-Length",)], (0, 0)), (None, (0, 0)), ([(1, 2)], (0, 0)),
    ],
    ids=repr,
)  # fmt: skip
def test_a_file_is_as_large_as_its_headers_tell(registry: tm.Registry, headers: Any, size: tuple[int, float]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return FileWrapper(io.BytesIO(b"hello"))

    environ = environ_of(**{"wsgi.file_wrapper": FileWrapper})
    body: Any = MetricsMiddleware(app, registry=registry)(environ, lambda status, headers: None)
    assert type(body) is FileWrapper
    body.close()
    assert (sent(registry), active(registry)) == (size, 0)


@pytest.mark.parametrize(
    ("app", "status", "error"),
    [
        (raises_before, "500", "KeyError"),
        (raises_when_begun, "200", "KeyError"),
        (raises_within, "200", "KeyError"),
        (raises_after, "200", None),
        (replaces_its_answer, "503", "KeyError"),
        (never_answers, "500", "500"),
        (answers_with_nothing, "200", "TypeError"),
        (answers([], "500 Oh"), "500", "500"),
        (answers([], "wrong"), None, None),
        (answers([], "²²² x"), None, None),
        (answers([], ""), None, None),
    ],
)
def test_how_applications_that_fail_are_recorded(registry: tm.Registry, app: Any, status: Any, error: Any) -> None:
    ask_wsgi(MetricsMiddleware(app, registry=registry))
    assert ended(registry) == {("GET", None, status, error): 1}
    assert active(registry) == 0


def test_what_asks_the_process_to_stop_is_no_error(registry: tm.Registry) -> None:
    with pytest.raises(SystemExit):
        MetricsMiddleware(exits, registry=registry)(environ_of(), ignore)
    assert (ended(registry), active(registry)) == ({("GET", None, None, None): 1}, 0)


def test_a_server_that_knows_no_exc_info(registry: tm.Registry) -> None:
    begun: list[str] = []

    def start_response(status: str, headers: Any) -> Writes:
        begun.append(status)
        return lambda data: None

    list(MetricsMiddleware(answers([b"a"]), registry=registry)(environ_of(), start_response))  # type: ignore[arg-type]
    assert begun == ["200 OK"]
