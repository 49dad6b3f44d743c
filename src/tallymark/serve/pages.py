"""The pages that are served: from a request to status, headers and body. Uses no socket.

No page repeats any part of a request.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote_plus
from weakref import WeakKeyDictionary

from tallymark.export.negotiate import negotiate, weight
from tallymark.export.selection import only
from tallymark.log import logger
from tallymark.metric.rejections import failure_text
from tallymark.serve.accept import prefers_html, wants_events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tallymark.metric.registry import Registry

__all__ = [
    "EVENTS", "LIVE", "ROUTES", "TOO_MANY_VIEWERS", "Page", "PageRequest", "error_page", "is_for_events", "log_failure", "page",
    "variant",
]  # fmt: skip

_NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
"""Tells browsers to take a page for what it says it is. Else one may take text that users can write into tags for a script."""
_TEXT = (("Content-Type", "text/plain; charset=utf-8"), _NO_SNIFFING)
_VARY = (("Vary", "Accept"),)
_OF_FEED = (_NO_SNIFFING, ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"), *_VARY)
_PIECE = 64 * 1024
"""Bytes that are compressed at once. Between two pieces, another thread may be where it needs what this one has."""
LIVE = "live"
"""The variant of the document that tells everything."""
_MOST = 1000
"""Parts of a query, and items of `Accept-Encoding`, that are looked at."""

_failing: WeakKeyDictionary[Registry, str] = WeakKeyDictionary()
"""How the last page of a registry failed, if it did."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a client asks for, through any server.

    Attributes:
        method: as sent; methods are case-sensitive.
        path: of the target, without the query.
        query: what follows the question mark; may be empty.
        headers: the header fields by lower-case name; those of one name are joined with commas.
        prefix: where the app is in a server that it is a part of; empty if it has all of it. The path is what follows.
        feed: how the live page can be told what changes: by events that the server sends, or by asking again and again.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    prefix: str = ""
    feed: Literal["events", "poll"] = "events"


@dataclass(frozen=True, slots=True)
class Page:
    """The response to a client.

    Attributes:
        status: the HTTP status code.
        headers: names and values, without `Content-Length`, which follows from the body.
        body: of the response to GET; HEAD gets the headers alone.
        is_open: whether more follows the body, until the connection ends.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_open: bool = False


def page(request: PageRequest, registry: Registry) -> Page:
    """Return the page that a request is for. A failure is logged once, and the client gets only a status 500.

    Raises:
        BaseException: what is no `Exception`, such as `KeyboardInterrupt`. It is meant for whoever owns the thread.
    """
    route = _route(request)
    if request.method not in ("GET", "HEAD"):
        return error_page(405, ("Allow", "GET, HEAD"))
    if route is None:
        return error_page(404)
    try:
        made = route(request, registry)
    except Exception as error:
        log_failure(registry, error)
        return error_page(500)
    if route is _metrics:
        _failing.pop(registry, None)
    return made


def log_failure(registry: Registry, error: BaseException) -> None:
    """Log that a page could not be made; once, until one can be, or it fails in another way."""
    failure = failure_text(error)
    if _failing.get(registry) != failure:
        _failing[registry] = failure
        logger().error("the metrics endpoint could not render a page; further such failures are not logged", exc_info=error)


def variant(request: PageRequest) -> str | None:
    """Return which page of a registry a request is for, or None if its page does not read the registry.

    At any one moment, all requests of a variant have the same page: a variant is an encoding, a format, and what the query asks
    for.
    """
    route = _route(request)
    if request.method not in ("GET", "HEAD") or route not in (_metrics, _live) or is_for_events(request):
        return None
    if route is _live:
        return LIVE
    encoding = "gzip" if _wants_gzip(request.headers.get("accept-encoding", "")) else "identity"
    content_type = negotiate(request.headers.get("accept", "")).content_type
    names = _names(request.query)
    return f"{encoding} {content_type} {_wants_classic(request.query)} {'' if names is None else sorted(names)}"


def is_for_events(request: PageRequest) -> bool:
    """Return True for a request for the feed of the live page, from a client that wants events and can get them."""
    if request.feed != "events" or request.method not in ("GET", "HEAD") or _route(request) is not _live:
        return False
    return wants_events(request.headers.get("accept", ""))


def error_page(status: int, *headers: tuple[str, str], remedy: str = "") -> Page:
    """Return the page of an HTTP error, which may name a remedy."""
    phrase = HTTPStatus(status).phrase
    return Page(status, (*_TEXT, *headers), f"{status} {phrase}{': ' if remedy else ''}{remedy}\n".encode())


def _metrics(request: PageRequest, registry: Registry) -> Page:
    wanted = negotiate(request.headers.get("accept", ""), classic=_wants_classic(request.query))
    names = _names(request.query)
    snapshot = registry.snapshot()
    body = wanted.render(snapshot if names is None else only(snapshot, names))
    headers = (("Content-Type", wanted.content_type), _NO_SNIFFING, ("Vary", "Accept, Accept-Encoding"))
    if not _wants_gzip(request.headers.get("accept-encoding", "")):
        return Page(200, headers, body)
    return Page(200, (*headers, ("Content-Encoding", "gzip")), _gzipped(body))


def _names(query: str) -> frozenset[str] | None:
    """Return the names of metrics that a query asks for, as in `name[]=a&name[]=b`; None where it asks for all."""
    names = [value for key, value in _parameters(query) if key == "name[]"]
    return frozenset(names) if names else None


def _wants_classic(query: str) -> bool:
    """Return True if a query asks for classic buckets beside native ones: `classic_histograms=true`."""
    return ("classic_histograms", "true") in _parameters(query)


def _parameters(query: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in query.split("&", _MOST)[:_MOST]] if query else []
    return [(unquote_plus(key), unquote_plus(value)) for key, _, value in pairs]


def _gzipped(body: bytes) -> bytes:
    # Level 1 takes a third of the time of level 6, and a fifteenth of the default 9, for a body that is a sixth longer.
    compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: with the header and the end of a gzip file
    whole = memoryview(body)
    parts = [compressor.compress(whole[at : at + _PIECE]) for at in range(0, len(whole), _PIECE)]
    return b"".join([*parts, compressor.flush()])


def _health(request: PageRequest, registry: Registry) -> Page:
    return Page(200, _TEXT, b"ok\n")


def _dashboard(request: PageRequest, registry: Registry) -> Page:
    from tallymark.serve.dashboard import dashboard

    made = dashboard(request.feed)
    return Page(200, (*made.headers, *(_VARY if request.prefix else ())), made.body)


def _with_slash(request: PageRequest, registry: Registry) -> Page:
    """Lead a browser to the page below a prefix: what the page names is found from there."""
    last = quote(request.prefix.rpartition("/")[2], safe="", errors="replace")
    return error_page(307, ("Location", f"./{last}/"), *_VARY)


def _live(request: PageRequest, registry: Registry) -> Page:
    from tallymark.serve.live.readings import readings_of

    try:
        document = readings_of(registry).get(registry, whole=True).whole
    except TimeoutError:
        return error_page(503, ("Retry-After", "5"))
    return Page(200, (("Content-Type", "application/json"), *_OF_FEED), document or b"")


ROUTES: dict[str, Callable[[PageRequest, Registry], Page]] = {
    "/": _dashboard,
    "/live": _live,
    "/metrics": _metrics,
    "/metrics/": _metrics,
    "/healthz": _health,
}
"""The page at each path."""


def _route(request: PageRequest) -> Callable[[PageRequest, Registry], Page] | None:
    """Return the page for a request. At a prefix, it is the metrics, but for who prefers HTML."""
    if request.prefix and request.path in ("", "/"):
        if not prefers_html(request.headers.get("accept", "")):
            return _metrics
        return _dashboard if request.path else _with_slash
    return ROUTES.get(request.path)


EVENTS = Page(200, (("Content-Type", "text/event-stream"), *_OF_FEED), b"retry: 2000\n\n", is_open=True)
"""The response to who looks at the live page; events follow."""
TOO_MANY_VIEWERS = error_page(503, ("Retry-After", "10"), remedy="too many look at the live page. Close some, or try again")


def _wants_gzip(accept_encoding: str) -> bool:
    """Return True if `Accept-Encoding` wants gzip at least as much as plain text. A malformed item wants nothing."""
    weights = {}
    for item in accept_encoding.lower().split(",", _MOST)[:_MOST]:
        coding, semicolon, parameter = item.partition(";")
        key, _, value = parameter.strip().partition("=")
        weights[coding.strip()] = float(not semicolon) or (weight(value) if key == "q" else 0.0)
    wanted = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return wanted > 0 and wanted >= weights.get("identity", 0.0)
