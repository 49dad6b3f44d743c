"""The live page: one document, with its style and its script inside, which asks for nothing but the feed.

It is put together once from the files beside this one. Its Content-Security-Policy names the digests of the style and the
script: whatever users wrote into names and tags, a browser runs nothing else, and asks no other host.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from tallymark.serve.pages import Page

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["dashboard"]

_SCRIPTS = (
    "format", "axis", "series", "store", "histogram",  # what is known
    "feed",
    "dom", "sparkline", "ticks", "plot", "chart", "heatmap", "table",  # how anything is shown
    "operations", "tiles", "operation_table", "changes", "reasons", "panels", "search", "header",  # what is shown
    "main",
)  # fmt: skip
"""The script's files, in the order of their use."""
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#3b82f6" stroke-width="2.4" '
    'stroke-linecap="round"><path d="M5 5v14M10 5v14M15 5v14M20 5v14M2 17 22.500 7"/></svg>'
)


@cache
def dashboard(feed: Literal["events", "poll"]) -> Page:
    """Return the live page. It gets its readings from `live`, beside it.

    Args:
        feed: how it asks: once, for server-sent events, or every two seconds, where a viewer must not occupy a worker.
    """
    style = _text("style.css")
    script = f'"use strict";\n(() => {{\n{"".join(_text(f"{name}.js") for name in _SCRIPTS)}}})();\n'
    parts = {"feed": feed, "icon": quote(_ICON), "style": style, "script": script}
    body = _text("page.html")
    for name, part in parts.items():
        body = body.replace(f"{{{name}}}", part, 1)
    policy = (
        f"default-src 'none'; script-src 'sha256-{_digest(script)}'; style-src 'sha256-{_digest(style)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),
    )
    return Page(200, headers, body.encode())


def _text(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
