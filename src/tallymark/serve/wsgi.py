"""`wsgi_app`: the metrics in a WSGI server of the service's own.

Source: PEP 3333.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.serve.auth import check_auth, refusal
from tallymark.serve.mount import path_below
from tallymark.serve.pages import PageRequest, page

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tallymark.serve.auth import Auth

__all__ = ["WSGIApp", "wsgi_app"]


def wsgi_app(registry: Registry | None = None, auth: Auth | None = None) -> WSGIApp:
    """Return a WSGI application that has the pages of `serve`: the live page at `/`, `/metrics` and `/healthz`.

    Below a prefix (`SCRIPT_NAME`), browsers find the live page at the prefix itself, all others the metrics. A page is made
    in the thread that asks for it. The live page asks again every two seconds, so that it keeps no thread occupied.

    Args:
        registry: whose metrics; by default the current registry at the time of this call.
        auth: `tm.BasicAuth(user, password)` or `tm.BearerAuth(token)`: what clients must give, but for `/healthz`.

    Raises:
        TypeError: an argument is of the wrong type.
    """
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    check_auth(auth)
    return WSGIApp(registry, auth)


class WSGIApp:
    """A WSGI application; made by `wsgi_app`."""

    def __init__(self, registry: Registry, auth: Auth | None) -> None:
        self._registry = registry
        self._auth = auth

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        request = _request_of(environ)
        answer = refusal(self._auth, request) or page(request, self._registry)
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        start_response(status, [*answer.headers, ("Content-Length", str(len(answer.body)))])
        return [] if request.method == "HEAD" else [answer.body]

    def __repr__(self) -> str:
        return f"<WSGIApp of {self._registry!r}>"


def _request_of(environ: WSGIEnvironment) -> PageRequest:
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    prefix, path = path_below(environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
    return PageRequest(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers, prefix, "poll")
