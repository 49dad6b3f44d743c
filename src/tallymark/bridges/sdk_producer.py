"""`to_opentelemetry`: what a registry of ours holds, for the exporters of OpenTelemetry's SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tallymark.bridges.extras import imported
from tallymark.bridges.underway import crossing
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData
    from opentelemetry.sdk.resources import Resource

__all__ = ["SDKProducer", "to_opentelemetry"]


def to_opentelemetry(registry: Registry | None = None, *, resource: Resource | None = None) -> SDKProducer:
    """Return what tells the metrics of a registry of ours as OpenTelemetry's SDK does.

        exporter = tm.bridges.to_opentelemetry().beside(OTLPMetricExporter())    # with those of the SDK, in one message
        MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter)])

        OTLPMetricExporter().export(tm.bridges.to_opentelemetry().produce())     # alone

    Metrics have the names that they were given, and units in UCUM's signs: `s` for seconds. They are totals.

    Args:
        registry: whose metrics; by default the current registry at the time of this call.
        resource: what is measured; by default `Resource.create()`, which reads the standard variables.

    Raises:
        TypeError: `registry` is not a `Registry`.
        ImportError: opentelemetry-sdk is not installed.
    """
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    imported("opentelemetry.sdk.metrics.export", "opentelemetry-sdk", "opentelemetry-sdk")
    return SDKProducer(registry, resource)


class SDKProducer:
    """Tells a registry as OpenTelemetry's SDK does; made by `to_opentelemetry`.

    Attributes:
        exports_beside: True while what it produces is exported beside what the SDK measures.
    """

    def __init__(self, registry: Registry, resource: Resource | None) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._registry = registry
        self._resource = Resource.create() if resource is None else resource
        self._scope = InstrumentationScope("tallymark", __version__)
        self.exports_beside = False

    def produce(self) -> MetricsData:
        """Return the metrics as they are now."""
        from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics

        from tallymark.bridges.sdk_points import metrics_of

        scope = ScopeMetrics(self._scope, metrics_of(self._registry.snapshot()), "")
        return MetricsData([ResourceMetrics(self._resource, [scope], self._resource.schema_url)])

    def produce_beside(self, others: Any) -> MetricsData:
        """Return metrics of the SDK, and ours that are not among them.

        Args:
            others: what the SDK calls `MetricsData`.
        """
        from opentelemetry.sdk.metrics.export import MetricsData

        beside = SDKProducer(self._registry, self._resource)
        beside.exports_beside = True
        with crossing(beside):  # what the SDK shows in our registry is among the others
            own = beside.produce()
        return MetricsData([*others.resource_metrics, *own.resource_metrics])

    def beside(self, exporter: MetricExporter) -> MetricExporter:
        """Return an exporter that gives the metrics of the SDK to `exporter`, and ours with them.

        The SDK exports when it has measured something; until then, ours wait too.
        """
        from tallymark.bridges.sdk_exporter import ExporterBeside

        return ExporterBeside(exporter, self)
