"""A small HTTP server of pages that never change, which notes what it was asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Page = tuple[str, bytes]
"""The content type, and the body."""


class PageServer(ThreadingHTTPServer):
    """Serves pages.

    Attributes:
        pages: a page, or what makes it of an `Accept` header, by its path.
        accepted: the `Accept` headers that clients sent, by path.
    """

    daemon_threads = True

    def __init__(self, pages: dict[str, Page | Callable[[str], Page]]) -> None:
        self.pages = pages
        self.accepted: dict[str, list[str]] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        accept = self.headers.get("Accept", "")
        self.server.accepted.setdefault(self.path, []).append(accept)
        found = self.server.pages[self.path]
        content_type, body = found(accept) if callable(found) else found
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def serving(pages: dict[str, Page | Callable[[str], Page]]) -> Iterator[PageServer]:
    """Serve pages for the duration of a `with` block."""
    with PageServer(pages) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
