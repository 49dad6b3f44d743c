"""The examples of HTTP services serve, and show what they have served."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path
from typing import Any

import pytest
from http_driver import ask, ask_wsgi

import tallymark as tm

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "path", "route"),
    [
        ("asgi", "/some/page", "/{path}"),
        ("fastapi", "/v1/orders/7", "/v1/orders/{order_id}"),
        ("flask", "/orders/7", "/orders/<int:order_id>"),
        ("starlette", "/en/hello/Ada", "/{language}/hello/{name}"),
        ("wsgi", "/some/page", "/{path}"),
    ],
)
def test_an_example_shows_what_it_has_served(name: str, path: str, route: str) -> None:
    with tm.use(tm.Registry(strict=True)):
        app: Any = runpy.run_path(str(EXAMPLES / f"{name}_service.py"))["app"]

    def get(path: str) -> tuple[str, bytes]:
        if name in ("flask", "wsgi"):
            status, body = ask_wsgi(app, path)
            return str(status), body
        said = asyncio.run(ask(app, path))
        return str(said.status), said.body

    assert get(path)[0].startswith("200")
    status, body = get("/metrics")
    assert status.startswith("200")
    assert f'http_route="{route}"'.encode() in body
