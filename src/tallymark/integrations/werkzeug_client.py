"""`WholeBody`: what the test client of Werkzeug and Flask is answered, which reads no body until somebody asks for it.

A server takes all of a response at once, so that its request ends. A test that looks at the status alone, and then at the
metrics, would find a request that is still active.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse

    from tallymark.integrations.wsgi_response import Response

__all__ = ["CLIENT", "WholeBody"]

CLIENT = "werkzeug.test"
"""The module of the client's `start_response`. No server's is from there, whatever a request says."""

_EMPTY = ("1", "204", "304")
"""How statuses begin whose responses have no body."""


class WholeBody:
    """A request of the test client under way: its `start_response`, and then its body.

    Args:
        start_response: of the client.
    """

    close: Callable[[], object]
    """Closes the response, of which this is the body."""

    def __init__(self, start_response: StartResponse) -> None:
        self._is_told = False
        self._start_response = start_response
        self._parts: list[bytes] = []

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        """Begin the response."""
        self._is_told = status.startswith(_EMPTY) or any(name.lower() == "content-length" for name, _ in headers)
        return self._start_response(status, headers, exc_info) if exc_info else self._start_response(status, headers)

    def of(self, response: Response) -> Iterable[bytes]:
        """Take all of a response, if it has an end; return what the client reads, and closes when it likes.

        Where no length was told, it may be a stream without an end.
        """
        if not (self._is_told or isinstance(response.body, list | tuple)):
            return response
        self.close = response.close
        self._parts = list(response)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)
