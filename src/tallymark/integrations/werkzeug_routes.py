"""`WerkzeugRoutes`: the rules by which applications on Werkzeug, such as Flask's, route their requests.

Nothing is imported: a request of Werkzeug's is in the environ while it is answered, and Flask's has a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

__all__ = ["ROUTE", "WerkzeugRoutes"]

ROUTE = "tallymark.route"
"""In an environ: the rule of a request that is there no longer."""

_DEEPEST = 20
"""Middleware around an application."""


class WerkzeugRoutes:
    """Names the routes of an application; where it dispatches to others by their paths, with these.

    Args:
        app: the WSGI application.

    Attributes:
        is_rule: True if the rule of a request, where it has one, is the whole template: C code finds it without a call.
    """

    def __init__(self, app: Any) -> None:
        self._mounts = sorted(_mounts_of(app), key=len, reverse=True)
        self.is_rule = not self._mounts

    def __call__(self, environ: WSGIEnvironment) -> str | None:
        """Return the rule that an environ was routed by; None if there was none."""
        request = environ.get("werkzeug.request")
        rule = getattr(request, "url_rule", None)
        found: str | None = environ.get(ROUTE) if rule is None else rule.rule
        return found if found is None or not self._mounts else self._mount_of(environ) + found

    def _mount_of(self, environ: WSGIEnvironment) -> str:
        prefix = environ.get("SCRIPT_NAME", "")
        return next((mount for mount in self._mounts if prefix.endswith(mount)), "")


def _mounts_of(app: Any) -> list[str]:
    """Return where a `DispatcherMiddleware` has applications, which may be within other middleware."""
    for _ in range(_DEEPEST):
        mounts = getattr(app, "mounts", None)
        if isinstance(mounts, dict):
            return [mount for mount in mounts if isinstance(mount, str) and mount]
        app = getattr(app, "app", None)
    return []
