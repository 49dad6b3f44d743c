"""A service in aiohttp whose HTTP metrics are recorded, and served at `/metrics`.

python examples/aiohttp_service.py

curl http://127.0.0.1:8000/orders/17
curl http://127.0.0.1:8000/metrics
"""

from __future__ import annotations

import argparse

from aiohttp import web

import tallymark as tm


async def order(request: web.Request) -> web.Response:
    return web.json_response({"order": int(request.match_info["number"])})


async def broken(request: web.Request) -> web.Response:
    raise RuntimeError("a fault of this service")


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes([web.get(r"/orders/{number:\d+}", order), web.get("/broken", broken), web.get("/echo", echo)])
    tm.integrations.aiohttp.instrument(app, metrics_path="/metrics")
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    web.run_app(make_app(), host="127.0.0.1", port=parser.parse_args().port)
