"""Services for tests: each shares its registry with the other workers of its server."""

from __future__ import annotations

import os
from typing import Any

import flask as flask_package
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import tallymark as tm
from tallymark.integrations import fastapi, flask

registry = tm.Registry(shared=os.environ["SHARED"]) if os.environ.get("SHARED") else tm.Registry()

asgi = FastAPI()
fastapi.instrument(asgi, registry=registry, metrics_path="/metrics")


@asgi.get("/work/{number}")
async def work(number: int) -> int:
    return os.getpid()


@asgi.post("/echo")
async def echo(body: dict[str, Any]) -> dict[str, Any]:
    return body


@asgi.get("/fails")
async def fails() -> None:
    raise KeyError("fails")


@asgi.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> Any:
        import asyncio

        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.001)

    return StreamingResponse(parts())


wsgi = flask_package.Flask("service")
flask.instrument(wsgi, registry=registry, metrics_path="/metrics")


@wsgi.get("/work/<int:number>")
def wsgi_work(number: int) -> str:
    return str(os.getpid())


@wsgi.post("/echo")
def wsgi_echo() -> bytes:
    return flask_package.request.get_data()


@wsgi.get("/fails")
def wsgi_fails() -> None:
    raise KeyError("fails")


@wsgi.get("/stream")
def wsgi_stream() -> flask_package.Response:
    def parts() -> Any:
        while True:
            yield b"x" * 100_000

    return flask_package.Response(parts())
