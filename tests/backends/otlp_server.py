"""A server that receives OTLP, over HTTP and over gRPC, built on the official messages; it answers as it is told."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

Key = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a metric, and the attributes of a series."""


class Received:
    """What arrived.

    Attributes:
        requests: all messages that were taken, in order.
        headers: the fields or the metadata of each request, taken or not, names in lower case.
        connections: how many were made, over HTTP.
        bodies: sizes of the bodies of HTTP requests, as they were sent.
        answers: how the next requests are answered; when there are no more, they are taken. Over HTTP: status, fields, body.
            Over gRPC: a function that is given the context, and returns the answer or aborts.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[int] = []
        self.answers: list[Any] = []
        self.port = 0
        self.connections = 0

    def metrics(self, last: int = 0) -> dict[str, Any]:
        """Return the metrics of the last requests, of all by default, by name."""
        return {
            metric.name: metric
            for request in self.requests[-last:]
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def resource(self) -> dict[str, Any]:
        """Return the attributes of the resource of the last request."""
        return attributes_of(self.requests[-1].resource_metrics[0].resource.attributes)

    def totals(self) -> dict[Key, float]:
        """Return what a backend knows of each number or count: the last total, or the sum of differences."""
        found: dict[Key, float] = {}
        for request in self.requests:
            for metric in [
                metric for one in request.resource_metrics for scope in one.scope_metrics for metric in scope.metrics
            ]:
                data = getattr(metric, metric.WhichOneof("data"))
                for point in data.data_points:
                    key = metric.name, tuple(sorted(attributes_of(point.attributes).items()))
                    value = point.as_double if hasattr(point, "as_double") else float(point.count)
                    added = found.get(key, 0.0) if getattr(data, "aggregation_temporality", 0) == 1 else 0.0
                    found[key] = added + value
        return found


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Return attributes as a mapping; no key may come twice."""
    found = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
    assert len(found) == len(pairs)
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 50
    received: Received

    def __init__(self, *arguments: Any) -> None:
        self.lock = threading.Lock()
        self.open: set[Any] = set()
        super().__init__(*arguments)

    def shutdown_request(self, request: Any) -> None:
        with self.lock:
            self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away, or speak no TLS."""

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self.open.add(request)
            self.received.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        received = self.server.received
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received.headers.append({name.lower(): value for name, value in self.headers.items()} | {":path": self.path})
        received.bodies.append(len(body))
        status, fields, answer = 200, {}, ExportMetricsServiceResponse().SerializeToString()
        if received.answers:
            status, fields, answer = received.answers.pop(0)
        if status == 0:  # no answer at all
            self.close_connection = True
            return
        if status == 200:
            message = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            received.requests.append(ExportMetricsServiceRequest.FromString(message))
        self.send_response(status)
        for name, value in {"Content-Type": "application/x-protobuf", **fields}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def http_receiver(port: int = 0, received: Received | None = None, tls: Any = None) -> Iterator[Received]:
    """Receive over HTTP; at the end of the `with` block all connections are closed, as if the server was killed.

    Args:
        port: where to listen; 0: anywhere.
        received: what arrived before, to go on with.
        tls: to speak HTTPS.
    """
    server = _Server(("127.0.0.1", port), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.received = received or Received()
    server.received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.received
    finally:
        server.shutdown()
        thread.join()
        with server.lock:
            still_open = list(server.open)
        for connection in still_open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        server.server_close()


@contextmanager
def grpc_receiver(
    port: int = 0, received: Received | None = None, credentials: Any = None, **options: Any
) -> Iterator[Received]:
    """Receive over gRPC.

    Args:
        port: where to listen; 0: anywhere.
        received: what arrived before, to go on with.
        credentials: to speak TLS.
        options: of the server, such as `max_receive_message_length`.
    """
    import grpc

    found = received or Received()

    def export(message: bytes, context: Any) -> bytes:
        found.headers.append(dict(context.invocation_metadata()))
        answer = found.answers.pop(0)(context) if found.answers else ExportMetricsServiceResponse().SerializeToString()
        found.requests.append(ExportMetricsServiceRequest.FromString(message))
        return bytes(answer)

    handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    service = "opentelemetry.proto.collector.metrics.v1.MetricsService"
    chosen = [(f"grpc.{name}", value) for name, value in options.items()]
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0), *chosen])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    address = f"127.0.0.1:{port}"
    found.port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    assert found.port
    server.start()
    try:
        yield found
    finally:
        server.stop(None).wait()
