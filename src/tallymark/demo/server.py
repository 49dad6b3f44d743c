"""The service's HTTP server: a WSGI application with one URL path for each operation, whose requests are measured too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RD, socket
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tallymark.demo.backend import WORKLOADS
from tallymark.integrations.wsgi import MetricsMiddleware

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tallymark.demo.service import Service
    from tallymark.metric.registry import Registry

__all__ = ["HOST", "serve_operations"]

HOST = "127.0.0.1"

_STATUSES = {"success": "200 OK", "error": "500 Internal Server Error", "timeout": "504 Gateway Timeout"}


@contextmanager
def serve_operations(service: Service, registry: Registry) -> Iterator[int]:
    """Serve `service` within a `with` block, on a free port of this machine, which is the target of the `with`."""
    app = MetricsMiddleware(_application(service), registry=registry, route=_route)
    with make_server(HOST, 0, app, _Server, _Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo-server")
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _application(service: Service) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        operation = environ["PATH_INFO"][1:]
        if operation not in WORKLOADS:  # so it never becomes a tag: else any client could make series without end
            start_response("404 Not Found", [("Content-Length", "0")])
            return [b""]
        status, response = service.handle(operation)
        start_response(_STATUSES[status], [("Content-Length", str(len(response)))])
        return [response]

    return app


def _route(environ: WSGIEnvironment) -> str | None:
    path: str = environ["PATH_INFO"]
    return path if path[1:] in WORKLOADS else None


class _Server(ThreadingMixIn, WSGIServer):
    """A server that leaves no thread and no socket when it is closed, even if a client keeps its connection open."""

    daemon_threads = False  # so that closing waits for them

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):  # closed meanwhile
                connection.shutdown(SHUT_RD)  # its thread then reads the end, after its last answer
        super().server_close()


class _Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # else the body would wait until the client has acknowledged the header

    def log_message(self, format: str, *args: object) -> None:
        pass
