"""A service without a framework that is measured: `python examples/wsgi_service.py`, then open http://127.0.0.1:8000/metrics."""

from __future__ import annotations

from typing import Any
from wsgiref.simple_server import make_server

from tallymark.integrations.wsgi import MetricsMiddleware


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello!\n"]


app = MetricsMiddleware(hello, metrics_path="/metrics", route=lambda environ: "/{path}")

if __name__ == "__main__":
    make_server("127.0.0.1", 8000, app).serve_forever()
