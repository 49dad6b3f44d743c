"""`ExporterBeside`: an exporter of OpenTelemetry's SDK that exports a registry of ours too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

    from tallymark.bridges.sdk_producer import SDKProducer

__all__ = ["ExporterBeside"]


class ExporterBeside(MetricExporter):
    """Gives what it is to export to another exporter, and ours with it; made by `SDKProducer.beside`."""

    def __init__(self, exporter: MetricExporter, producer: SDKProducer) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._producer = producer

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export both."""
        both = self._producer.produce_beside(metrics_data)
        return self._exporter.export(both, timeout_millis=timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """As the other exporter does."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """As the other exporter does."""
        self._exporter.shutdown(timeout_millis=timeout_millis, **kwargs)
