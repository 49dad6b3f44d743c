"""Exporters: pure functions from a snapshot to bytes."""

from __future__ import annotations

from tallymark.export.prometheus import CONTENT_TYPE as PROMETHEUS_CONTENT_TYPE
from tallymark.export.prometheus import render_prometheus

__all__ = ["PROMETHEUS_CONTENT_TYPE", "render_prometheus"]


def __dir__() -> list[str]:
    return sorted(__all__)
