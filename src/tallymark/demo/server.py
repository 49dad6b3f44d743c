"""The service's HTTP server: one URL path for each operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RD, socket
from threading import Thread
from typing import Any

from tallymark.demo.backend import WORKLOADS
from tallymark.demo.service import Service

__all__ = ["HOST", "serve_operations"]

HOST = "127.0.0.1"

_CODES = {"success": HTTPStatus.OK, "error": HTTPStatus.INTERNAL_SERVER_ERROR, "timeout": HTTPStatus.GATEWAY_TIMEOUT}


@contextmanager
def serve_operations(service: Service) -> Iterator[int]:
    """Serve `service` within a `with` block, on a free port of this machine, which is the target of the `with`."""
    with _Server((HOST, 0), partial(_Handler, service)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo-server")
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept open
    wbufsize = -1  # send header and body in one packet: a second one would wait for the client's delayed acknowledgement

    def __init__(self, service: Service, *args: Any) -> None:
        self._service = service
        super().__init__(*args)

    def do_GET(self) -> None:
        operation = self.path[1:]
        if operation not in WORKLOADS:  # so it never becomes a tag: else any client could make series without end
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        status, response = self._service.handle(operation)
        self.send_response(_CODES[status])
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, format: str, *args: object) -> None:
        pass
