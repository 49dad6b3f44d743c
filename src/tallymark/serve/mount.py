"""Where an app stands in the server that it is a part of."""

from __future__ import annotations

__all__ = ["path_below"]


def path_below(prefix: str, path: str) -> tuple[str, str]:
    """Return the prefix at which a server has an app, and the path of a page below it.

    So `/metrics` is the metrics both for an app at `/metrics` and for one that has the whole server. Some servers leave the
    prefix in the path, and some take it away.
    """
    prefix = prefix.rstrip("/")
    if not prefix:
        return "", path or "/"
    if path == prefix or path.startswith(f"{prefix}/"):
        path = path[len(prefix) :]
    return prefix, path
