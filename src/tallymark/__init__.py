"""Tallymark: metrics for Python services that cost nanoseconds and allocate nothing.

import tallymark as tm

requests = tm.counter("http_requests", description="Requests served.")
requests.inc(method="GET", status="200")
tm.serve(port=9464)
"""

from __future__ import annotations

from tallymark.metric.context import counter, gauge, histogram, info, registry, state, timer, use
from tallymark.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tallymark import backends as backends
    from tallymark import bench as bench
    from tallymark import bridges as bridges
    from tallymark import export as export
    from tallymark import integrations as integrations
    from tallymark import testing as testing
    from tallymark.configuration.configure import Configuration, configure
    from tallymark.configuration.errors import ConfigurationError
    from tallymark.engine import Counter, Gauge, Histogram, TagSet, Timer, Timing, engine_name
    from tallymark.engine.exemplar import Exemplar
    from tallymark.engine.histogram_snapshot import HistogramSnapshot
    from tallymark.engine.options import TagLimits
    from tallymark.errors import MetricConflictError, SharedFileError, TagError
    from tallymark.export.openmetrics import CONTENT_TYPE as OPENMETRICS_CONTENT_TYPE
    from tallymark.export.openmetrics import render_openmetrics
    from tallymark.export.prometheus import CONTENT_TYPE as PROMETHEUS_CONTENT_TYPE
    from tallymark.export.prometheus import render_prometheus
    from tallymark.host import Host, detect_host
    from tallymark.metric.buckets import (
        DURATION_BUCKETS,
        SIZE_BUCKETS,
        VALUE_BUCKETS,
        exponential_buckets,
        linear_buckets,
    )
    from tallymark.metric.collector import Collector, family
    from tallymark.metric.data import (
        ExponentialHistogramData,
        GaugeData,
        HistogramData,
        InfoData,
        StateSetData,
        SumData,
        SummaryData,
    )
    from tallymark.metric.delta import delta
    from tallymark.metric.exemplars import current_span_exemplar
    from tallymark.metric.null import NullRegistry
    from tallymark.metric.registry import Registry
    from tallymark.metric.snapshot import FamilySnapshot, SeriesView, Snapshot
    from tallymark.metric.state import State
    from tallymark.operational import Operation, OperationalMetrics, Outcome, classify
    from tallymark.process import process_metrics
    from tallymark.report.errors import ReportError
    from tallymark.report.once import report_once
    from tallymark.report.reporter import Reporter, report_to
    from tallymark.serve.asgi import asgi_app
    from tallymark.serve.auth import BasicAuth, BearerAuth
    from tallymark.serve.server import Server, serve
    from tallymark.serve.tls import TLS
    from tallymark.serve.wsgi import wsgi_app

_HOMES = {
    "tallymark.configuration.configure": ("Configuration", "configure"),
    "tallymark.configuration.errors": ("ConfigurationError",),
    "tallymark.engine": ("Counter", "Gauge", "Histogram", "TagSet", "Timer", "Timing", "engine_name"),
    "tallymark.engine.exemplar": ("Exemplar",),
    "tallymark.engine.histogram_snapshot": ("HistogramSnapshot",),
    "tallymark.engine.options": ("TagLimits",),
    "tallymark.errors": ("MetricConflictError", "SharedFileError", "TagError"),
    "tallymark.export": (
        "OPENMETRICS_CONTENT_TYPE", "PROMETHEUS_CONTENT_TYPE", "render_openmetrics", "render_prometheus",
    ),
    "tallymark.host": ("Host", "detect_host"),
    "tallymark.metric.buckets": (
        "DURATION_BUCKETS", "SIZE_BUCKETS", "VALUE_BUCKETS", "exponential_buckets", "linear_buckets",
    ),
    "tallymark.metric.collector": ("Collector", "family"),
    "tallymark.metric.data": (
        "ExponentialHistogramData", "GaugeData", "HistogramData", "InfoData", "StateSetData", "SumData", "SummaryData",
    ),
    "tallymark.metric.delta": ("delta",),
    "tallymark.metric.exemplars": ("current_span_exemplar",),
    "tallymark.metric.null": ("NullRegistry",),
    "tallymark.metric.registry": ("Registry",),
    "tallymark.metric.snapshot": ("FamilySnapshot", "SeriesView", "Snapshot"),
    "tallymark.metric.state": ("State",),
    "tallymark.operational": ("Operation", "OperationalMetrics", "Outcome", "classify"),
    "tallymark.process": ("process_metrics",),
    "tallymark.report.errors": ("ReportError",),
    "tallymark.report.once": ("report_once",),
    "tallymark.report.reporter": ("Reporter", "report_to"),
    "tallymark.serve.asgi": ("asgi_app",),
    "tallymark.serve.auth": ("BasicAuth", "BearerAuth"),
    "tallymark.serve.server": ("Server", "serve"),
    "tallymark.serve.tls": ("TLS",),
    "tallymark.serve.wsgi": ("wsgi_app",),
}  # fmt: skip
"""The public names of each module. A name is imported on first use, since most services need few of them."""

_MODULES = {name: module for module, names in _HOMES.items() for name in names}
_PACKAGES = ("backends", "bench", "bridges", "export", "integrations", "testing")

# The first import of any of its modules would put the package `tallymark.serve` where the function is looked for.
__import__("tallymark.serve")
del globals()["serve"]

__all__ = [
    "DURATION_BUCKETS",
    "OPENMETRICS_CONTENT_TYPE",
    "PROMETHEUS_CONTENT_TYPE",
    "SIZE_BUCKETS",
    "TLS",
    "VALUE_BUCKETS",
    "BasicAuth",
    "BearerAuth",
    "Collector",
    "Configuration",
    "ConfigurationError",
    "Counter",
    "Exemplar",
    "ExponentialHistogramData",
    "FamilySnapshot",
    "Gauge",
    "GaugeData",
    "Histogram",
    "HistogramData",
    "HistogramSnapshot",
    "Host",
    "InfoData",
    "MetricConflictError",
    "NullRegistry",
    "Operation",
    "OperationalMetrics",
    "Outcome",
    "Registry",
    "ReportError",
    "Reporter",
    "SeriesView",
    "Server",
    "SharedFileError",
    "Snapshot",
    "State",
    "StateSetData",
    "SumData",
    "SummaryData",
    "TagError",
    "TagLimits",
    "TagSet",
    "Timer",
    "Timing",
    "__version__",
    "asgi_app",
    "classify",
    "configure",
    "counter",
    "current_span_exemplar",
    "delta",
    "detect_host",
    "engine_name",
    "exponential_buckets",
    "family",
    "gauge",
    "histogram",
    "info",
    "linear_buckets",
    "process_metrics",
    "registry",
    "render_openmetrics",
    "render_prometheus",
    "report_once",
    "report_to",
    "serve",
    "state",
    "timer",
    "use",
    "wsgi_app",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        found = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return found
    if name in _PACKAGES:
        return import_module(f"tallymark.{name}")
    raise AttributeError(f"module 'tallymark' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES])
