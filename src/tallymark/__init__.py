"""Tallymark: metrics for Python services, at a cost that nobody has to think about.

import tallymark as tm

requests = tm.counter("http_requests", description="Requests served.")
requests.inc(method="GET", status="200")
tm.serve(port=9464)
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from tallymark.engine import Counter, Gauge, Histogram, TagSet, Timer, Timing, engine_name
from tallymark.engine.histogram_snapshot import HistogramSnapshot
from tallymark.engine.options import TagLimits
from tallymark.errors import MetricConflictError, SharedFileError, TagError
from tallymark.export.prometheus import render_prometheus
from tallymark.host import Host, detect_host
from tallymark.metric.buckets import (
    DURATION_BUCKETS,
    SIZE_BUCKETS,
    VALUE_BUCKETS,
    exponential_buckets,
    linear_buckets,
)
from tallymark.metric.context import counter, gauge, histogram, registry, timer, use
from tallymark.metric.null import NullRegistry
from tallymark.metric.registry import Registry
from tallymark.metric.snapshot import FamilySnapshot, SeriesView, Snapshot
from tallymark.metric.state import State
from tallymark.operational import Operation, OperationalMetrics, Outcome, classify
from tallymark.process import process_metrics
from tallymark.serve.server import Server, serve
from tallymark.version import __version__

if TYPE_CHECKING:
    from tallymark import bench as bench
    from tallymark import testing as testing

__all__ = [
    "DURATION_BUCKETS",
    "SIZE_BUCKETS",
    "VALUE_BUCKETS",
    "Counter",
    "FamilySnapshot",
    "Gauge",
    "Histogram",
    "HistogramSnapshot",
    "Host",
    "MetricConflictError",
    "NullRegistry",
    "Operation",
    "OperationalMetrics",
    "Outcome",
    "Registry",
    "SeriesView",
    "Server",
    "SharedFileError",
    "Snapshot",
    "State",
    "TagError",
    "TagLimits",
    "TagSet",
    "Timer",
    "Timing",
    "__version__",
    "classify",
    "counter",
    "detect_host",
    "engine_name",
    "exponential_buckets",
    "gauge",
    "histogram",
    "linear_buckets",
    "process_metrics",
    "registry",
    "render_prometheus",
    "serve",
    "timer",
    "use",
]


def __getattr__(name: str) -> ModuleType:
    # A service needs neither: each is imported when it is first asked for.
    if name in ("bench", "testing"):
        return importlib.import_module(f"tallymark.{name}")
    raise AttributeError(f"module 'tallymark' has no attribute {name!r}")
