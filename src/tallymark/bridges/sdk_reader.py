"""`from_opentelemetry`: what OpenTelemetry's SDK measures, in a registry of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.bridges.extras import imported
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from tallymark.bridges.sdk_metric_reader import RegistryReader

__all__ = ["from_opentelemetry"]


def from_opentelemetry(registry: Registry | None = None, *, scopes: bool = True, target_info: bool = True) -> RegistryReader:
    """Return a reader of OpenTelemetry's SDK that shows what the SDK measures whenever a registry of ours is read.

        MeterProvider(metric_readers=[tm.bridges.from_opentelemetry()])

    Metrics keep their names; units are in words, as `seconds` for `s`. So they have, in Prometheus' formats, the names that
    OpenTelemetry's own exporter for Prometheus gives them.

    Args:
        registry: that shows them; by default the current registry at the time of this call.
        scopes: tag each series with what measures it: `otel_scope_name` and `otel_scope_version`.
        target_info: show the attributes of the resource in `target_info`.

    Raises:
        TypeError: `registry` is not a `Registry`.
        ImportError: opentelemetry-sdk is not installed.
    """
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    home = imported("tallymark.bridges.sdk_metric_reader", "opentelemetry-sdk", "opentelemetry-sdk")
    reader: RegistryReader = home.RegistryReader(registry, scopes=scopes, target_info=target_info)
    return reader
