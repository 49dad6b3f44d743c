"""Where an app stands in the server that it is a part of."""

from __future__ import annotations

__all__ = ["path_below"]


def path_below(prefix: str, path: str) -> str:
    """Return the path of a page, for an app that a server has at a prefix; where it stands itself, it has the metrics.

    So `/metrics` is the metrics both for an app at `/metrics` and for one that has the whole server. Some servers leave the
    prefix in the path, and some take it away.
    """
    prefix = prefix.rstrip("/")
    if not prefix:
        return path or "/"
    if path == prefix or path.startswith(f"{prefix}/"):
        path = path[len(prefix) :]
    return "/metrics" if path in ("", "/") else path
