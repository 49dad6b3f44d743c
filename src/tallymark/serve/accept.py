"""What a client wants to be sent, by its `Accept`: a page for people, events, or what scrapers read.

Source: RFC 9110, section 12.5.1.
"""

from __future__ import annotations

from tallymark.export.negotiate import weights

__all__ = ["prefers_html", "wants_events"]

_OF_SCRAPERS = ("text/plain", "text/*", "application/openmetrics-text", "application/vnd.google.protobuf", "application/json")


def prefers_html(accept: str) -> bool:
    """Return True for a browser that wants a page: it wants HTML more than anything that scrapers read.

    Who asks for anything at all, as most programs do, is no browser. Neither is Java's `HttpURLConnection`, which asks for HTML
    first, then for images: all browsers ask for XHTML too, unless HTML is all that they want.
    """
    wanted = weights(accept)
    html = wanted.get("text/html", 0.0)
    if html <= max([wanted.get(kind, 0.0) for kind in _OF_SCRAPERS]):
        return False
    is_for_nothing_else = wanted.keys() <= {"text/html", "*/*"} and html > wanted.get("*/*", 0.0)
    return is_for_nothing_else or "application/xhtml+xml" in wanted


def wants_events(accept: str) -> bool:
    """Return True for who wants server-sent events, at least as much as JSON."""
    wanted = weights(accept)
    events = wanted.get("text/event-stream", 0.0)
    return events > 0 and events >= wanted.get("application/json", 0.0)
