"""Exporters: pure functions from a snapshot to bytes; and which of them a scraper gets."""

from __future__ import annotations

from tallymark.export.negotiate import Format, negotiate
from tallymark.export.openmetrics import CONTENT_TYPE as OPENMETRICS_CONTENT_TYPE
from tallymark.export.openmetrics import render_openmetrics
from tallymark.export.prometheus import CONTENT_TYPE as PROMETHEUS_CONTENT_TYPE
from tallymark.export.prometheus import render_prometheus
from tallymark.export.protobuf import CONTENT_TYPE as PROTOBUF_CONTENT_TYPE
from tallymark.export.protobuf import render_protobuf

__all__ = [
    "OPENMETRICS_CONTENT_TYPE", "PROMETHEUS_CONTENT_TYPE", "PROTOBUF_CONTENT_TYPE", "Format", "negotiate", "render_openmetrics",
    "render_prometheus", "render_protobuf",
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted(__all__)
