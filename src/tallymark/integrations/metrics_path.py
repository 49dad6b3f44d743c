"""The path at which an integration serves the metrics."""

from __future__ import annotations

__all__ = ["check_path", "is_below"]


def check_path(path: str) -> str:
    """Return a path at which pages are served.

    Raises:
        TypeError: it is not text.
        ValueError: it does not begin with `/`, or is all of the application.
    """
    if not isinstance(path, str):
        raise TypeError(f"metrics_path must be a str, such as '/metrics', not {type(path).__name__}")
    stripped = path.rstrip("/")
    if not stripped.startswith("/"):
        raise ValueError(f"metrics_path must be a path below the application, such as '/metrics', not {path!r}")
    return stripped


def is_below(prefix: str, path: str) -> bool:
    """Return True if a path is `prefix`, or below it."""
    return path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/")
