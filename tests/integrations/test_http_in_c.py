"""Requests under way in C do what those in Python do: random applications and servers, on both, which must not differ."""

from __future__ import annotations

import asyncio
import random
from collections import UserDict
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from http_driver import active, ended, environ_of, received, scope_of, sent

import tallymark as tm
from tallymark.integrations.asgi import MetricsMiddleware
from tallymark.integrations.wsgi import MetricsMiddleware as WSGIMetricsMiddleware

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"part", "more_body": True}
END = {"type": "http.response.body", "body": b"end"}


class Text(str):
    __slots__ = ()


class Kind(StrEnum):
    START = "http.response.start"
    BODY = "http.response.body"


class Status(IntEnum):
    FINE = 200
    FAILED = 500


class Fails:
    """What fails in whatever way it is asked."""

    def __len__(self) -> int:
        raise OSError("no length")

    def __eq__(self, other: object) -> bool:
        raise LookupError("not comparable")

    def __hash__(self) -> int:
        raise LookupError("no hash")

    def __bool__(self) -> bool:
        raise ArithmeticError("neither")


class Long:
    def __len__(self) -> int:
        return 1 << 40


class Negative:
    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return -1


BODIES: tuple[Any, ...] = (
    b"", b"hello", "text", bytearray(b"bytes"), memoryview(b"view"), None, 7, [1, 2], True, Fails(), Long(), Negative(), {},
)  # fmt: skip
STATUSES: tuple[Any, ...] = (
    200, 404, 500, 503, 99, 1000, -1, True, None, 10**30, -(10**30), 2.5, float("nan"), 500.0, "200", Status.FINE,
    Status.FAILED, Fails(), [200], object(), b"200",
)  # fmt: skip
TYPES: tuple[Any, ...] = (
    "http.response.start", "http.response.body", "http.response.pathsend", "http.response.zerocopysend", "http.response.debug",
    Text("http.response.start"), Text("http.response.body"), Kind.START, Kind.BODY, "", None, 7, b"http.response.body", [],
)  # fmt: skip
FORMS: tuple[Any, ...] = (
    dict,
    dict,
    dict,
    dict,
    UserDict,
    MappingProxyType,
    lambda made: list(made.items()),
    lambda made: None,
)


def message_of(chosen: random.Random) -> Any:
    """Return a message, which may be none."""
    if chosen.random() < 0.5:
        return chosen.choice((START, PART, END))
    made: dict[str, Any] = {"type": chosen.choice(TYPES)}
    for key, values in (("body", BODIES), ("status", STATUSES), ("more_body", (True, False, None, 1, Fails()))):
        if chosen.random() < 0.6:
            made[key] = chosen.choice(values)
    if chosen.random() < 0.05:
        del made["type"]
    return chosen.choice(FORMS)(made)


ERRORS: tuple[Any, ...] = (KeyError, OSError, BrokenPipeError, ValueError, asyncio.CancelledError, RuntimeError)


def asgi_story(engine: str, seed: int) -> list[Any]:
    """Return all that can be seen of some requests to a random application on a random server."""
    chosen = random.Random(seed)
    registry = tm.Registry(engine=engine)
    seen: list[Any] = []

    async def receive() -> Any:
        if chosen.random() < 0.1:
            raise chosen.choice(ERRORS)
        await asyncio.sleep(0)
        kind = chosen.choice(("http.request", "http.request", "http.disconnect", "other"))
        return {"type": kind, "body": chosen.choice((b"", b"123", None))}

    async def send(message: Any) -> Any:
        seen.append(repr(type(message)))
        if chosen.random() < 0.1:
            raise chosen.choice(ERRORS)
        if chosen.random() < 0.5:
            await asyncio.sleep(0)
        return "what a server returns"

    async def step(receive: Any, send: Any) -> None:
        what = chosen.randrange(10)
        if what < 6:
            seen.append(await send(message_of(chosen)))
        elif what < 8:
            seen.append((await receive())["type"])
        elif what == 8:
            awaitable = send(message_of(chosen))
            task = asyncio.ensure_future(awaitable)
            if chosen.random() < 0.5:
                await asyncio.sleep(0)
                task.cancel()
            seen.append(await task)
        else:
            raise chosen.choice(ERRORS)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if chosen.random() < 0.1:
            scope["endpoint"] = chosen.choice((7, app, None, Fails))
        for _ in range(chosen.randrange(7)):
            try:
                await step(receive, send)
            except BaseException as error:
                seen.append(repr(type(error)))
                if chosen.random() < 0.3:
                    raise
                if chosen.random() < 0.2:  # the framework answers what it handles
                    await send({"type": "http.response.start", "status": 500})
                    await send(END)

    async def all_of_them(middleware: Any) -> None:
        for _ in range(10):
            scope = scope_of(method=chosen.choice(("GET", "HEAD", "BREW")))
            try:
                await asyncio.ensure_future(middleware(scope, receive, send))
            except BaseException as error:
                seen.append(repr(type(error)))

    own = (lambda scope, start: {"begun": str(start is not None)}) if chosen.random() < 0.3 else None
    route = chosen.choice((None, None, lambda scope: "/", lambda scope: [], lambda scope: 1 // 0))
    asyncio.run(all_of_them(MetricsMiddleware(app, registry=registry, tags=own, route=route)))
    return [seen, ended(registry), sent(registry), received(registry), active(registry)]


@pytest.mark.parametrize("seeds", range(20))
def test_a_random_asgi_application_is_recorded_alike(seeds: int) -> None:
    for seed in range(seeds * 10, seeds * 10 + 10):
        assert asgi_story("native", seed) == asgi_story("reference", seed), seed


WSGI_STATUSES: tuple[Any, ...] = (
    "200 OK", "404", "500 Oh", "503 Busy", "2", "20x", "", "²²² x", "٢٠٠ OK", None, 200, b"200 OK", Text("201 Made"), Fails(),
)  # fmt: skip


class Body:
    """A body of random parts, which may fail."""

    def __init__(self, chosen: random.Random) -> None:
        self.chosen = chosen

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.chosen.randrange(4)):
            if self.chosen.random() < 0.15:
                raise self.chosen.choice(ERRORS)
            yield self.chosen.choice((b"", b"part", "text", b"longer part", None, Long(), Fails()))

    def close(self) -> None:
        if self.chosen.random() < 0.2:
            raise KeyError("close")


def wsgi_story(engine: str, seed: int) -> list[Any]:
    chosen = random.Random(seed)
    registry = tm.Registry(engine=engine)
    seen: list[Any] = []

    def start_response(status: Any, headers: Any, exc_info: Any = None) -> Any:
        if chosen.random() < 0.1:
            raise chosen.choice(ERRORS)
        seen.append((repr(type(status)), headers, exc_info is None))
        return lambda data: seen.append(repr(type(data)))

    def app(environ: Any, start_response: Any) -> Any:
        for _ in range(chosen.choice((0, 1, 1, 1, 2))):
            if chosen.random() < 0.1:
                raise chosen.choice(ERRORS)
            exc_info = chosen.choice(((), (None,), ((KeyError, KeyError("x"), None),), ((),), ((KeyError,),), (7,)))
            headers = chosen.choice(([], [("A", "b")], None))
            with suppress(TypeError, IndexError):
                write = start_response(chosen.choice(WSGI_STATUSES), headers, *exc_info)
                if chosen.random() < 0.3:
                    write(chosen.choice((b"written", 7, Long())))
        return chosen.choice(([b"a", b"b"], [], None, 7, Body(chosen), Body(chosen), (b"x",), "text", iter([b"one"])))

    def serve(middleware: Any) -> None:
        response = middleware(environ_of(HTTP_X="y"), start_response)
        with suppress(TypeError):
            seen.append(len(response))
        if chosen.random() < 0.9:
            for chunk in response:
                seen.append(repr(type(chunk)))
                if chosen.random() < 0.1:
                    break
        for _ in range(chosen.choice((1, 1, 2))):
            response.close()

    own = (lambda environ, start: {"begun": str(start is not None)}) if chosen.random() < 0.3 else None
    route = chosen.choice((None, None, lambda environ: "/", lambda environ: [], lambda environ: 1 // 0))
    middleware = WSGIMetricsMiddleware(app, registry=registry, tags=own, route=route)
    for _ in range(10):
        try:
            serve(middleware)
        except BaseException as error:
            seen.append(repr(type(error)))
    return [seen, ended(registry), sent(registry), received(registry), active(registry)]


@pytest.mark.parametrize("seeds", range(20))
def test_a_random_wsgi_application_is_recorded_alike(seeds: int) -> None:
    for seed in range(seeds * 10, seeds * 10 + 10):
        assert wsgi_story("native", seed) == wsgi_story("reference", seed), seed
