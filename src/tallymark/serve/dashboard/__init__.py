"""The live page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Dashboard", "dashboard"]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The page, assembled."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


def dashboard(feed: Literal["events", "poll"]) -> Dashboard:
    """Return the page that is fed by events, or that asks again and again."""
    headers = (("Content-Type", "text/html; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
    return Dashboard(
        headers, b'<!doctype html><html lang="en"><title>Tallymark</title><p><a href="metrics">Metrics</a></p></html>\n'
    )
