"""A Starlette service that is measured: `uvicorn examples.starlette_service:app`, then open http://127.0.0.1:8000/metrics."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

import tallymark as tm


def greet(request: Request) -> Response:
    return PlainTextResponse(f"Hello, {request.path_params['name']}!")


app = Starlette(routes=[Mount("/{language}", routes=[Route("/hello/{name}", greet)])])
tm.integrations.starlette.instrument(
    app,
    metrics_path="/metrics",
    tags=lambda request, response: {"language": request.path_params.get("language", "")[:2]},
)
