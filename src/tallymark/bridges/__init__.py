"""Metrics of other libraries in ours, and ours in theirs: a service moves one module at a time, with one endpoint.

registry.register(tm.bridges.from_prometheus_client())       # theirs, at our endpoint
prometheus_client.REGISTRY.register(tm.bridges.to_prometheus_client())   # ours, at theirs
MeterProvider(metric_readers=[tm.bridges.from_opentelemetry()])          # what OpenTelemetry's SDK measures, at our endpoint
PeriodicExportingMetricReader(tm.bridges.to_opentelemetry().beside(OTLPMetricExporter()))   # ours, where theirs go
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallymark.bridges.client_collector import from_prometheus_client as from_prometheus_client
    from tallymark.bridges.client_metrics import to_prometheus_client as to_prometheus_client
    from tallymark.bridges.sdk_producer import to_opentelemetry as to_opentelemetry
    from tallymark.bridges.sdk_reader import from_opentelemetry as from_opentelemetry

_HOMES = {
    "from_opentelemetry": "sdk_reader",
    "from_prometheus_client": "client_collector",
    "to_opentelemetry": "sdk_producer",
    "to_prometheus_client": "client_metrics",
}

__all__ = ["from_opentelemetry", "from_prometheus_client", "to_opentelemetry", "to_prometheus_client"]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _HOMES:
        found = globals()[name] = getattr(import_module(f"tallymark.bridges.{_HOMES[name]}"), name)
        return found
    raise AttributeError(f"module 'tallymark.bridges' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
