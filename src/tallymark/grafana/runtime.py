"""The dashboard of what all services have: the process, its interpreter, and the metrics themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from tallymark.grafana.endpoint import Endpoint, Metric
from tallymark.grafana.panels import WINDOW, graph
from tallymark.grafana.promql import sum_by
from tallymark.grafana.view import View

__all__ = ["RuntimeRows"]

Row = tuple[str, list[Builder[Panel]]]


class _Spec(NamedTuple):
    """A graph of one metric.

    Attributes:
        metric: by which name it is recognised.
        form: `"{}"` for its value; how a rate or a quantile is made of it.
        by: the label that tells lines apart.
    """

    metric: str
    title: str
    unit: str
    form: str = "value"
    by: str = "instance"


_PROCESS = (
    _Spec("process_cpu", "CPU: seconds per second", "short", "rate"),
    _Spec("process_resident_memory", "Memory", "bytes"),
    _Spec("process_open_fds", "Open files", "short"),
    _Spec("process_threads", "Threads", "short"),
)
_INTERPRETER = (
    _Spec("asyncio_eventloop_lag", "Event loop lag", "s", "quantile"),
    _Spec("asyncio_tasks", "Tasks of asyncio", "short"),
    _Spec("cpython_gc_duration", "Pauses for garbage collection", "s", "quantile"),
    _Spec("python_gc_collections", "Garbage collections", "ops", "rate", "generation"),
    _Spec("cpython_gc_collections", "Garbage collections", "ops", "rate", "cpython.gc.generation"),
    _Spec("logging_records", "Log records", "ops", "rate", "level"),
)
_METRICS = (
    _Spec("tallymark_series", "Cardinality: live series", "short", by="metric"),
    _Spec("tallymark_rejected", "Rejected data, per second", "ops", "rate", "metric, reason"),
)
_ALWAYS_THERE = (
    ("up", "Targets that can be scraped", "short"),
    ("scrape_duration_seconds", "Time of a scrape", "s"),
    ("scrape_samples_post_metric_relabeling", "Samples in a scrape", "short"),
)
"""What Prometheus itself tells of each target."""


class RuntimeRows:
    """Makes rows.

    Args:
        endpoint: whose metrics are shown; only what it has.
        view: what they select.
    """

    def __init__(self, endpoint: Endpoint, view: View) -> None:
        self._endpoint = endpoint
        self._view = view

    def rows(self) -> Iterator[Row]:
        """Yield each row: its title and panels."""
        for title, specs in (("Process", _PROCESS), ("Interpreter", _INTERPRETER)):
            panels = list(self._panels(specs))
            if panels:
                yield title, panels
        yield "The metrics themselves", [*self._panels(_METRICS), *self._of_targets()]

    def _panels(self, specs: Sequence[_Spec]) -> Iterator[Builder[Panel]]:
        for spec in specs:
            metric = self._endpoint.find(spec.metric)
            name = self._endpoint.rejected if spec.metric == "tallymark_rejected" else metric.name if metric else ""
            queries = self._queries(spec, name, metric) if name else []
            if queries:
                about = metric.family.description if metric else "Records that were rejected or redirected."
                yield graph(spec.title, about, spec.unit, queries)

    def _queries(self, spec: _Spec, name: str, metric: Metric | None) -> list[tuple[str, str]]:
        spelling = self._view.spelling
        keys = spec.by.split(", ")
        labels, legend = (
            [spelling.label(key) for key in keys],
            " ".join([f"{{{{{spelling.bare_label(key)}}}}}" for key in keys]),
        )
        if spec.form == "quantile":
            distribution = self._endpoint.distribution(metric)
            quantiles = (("0.5", "p50"), ("0.99", "p99")) if distribution else ()
            return [(distribution.quantile(q, [], WINDOW, self._view.target), text) for q, text in quantiles if distribution]
        if spec.form == "rate":
            expression = sum_by(labels, spelling.rate(name, WINDOW, [self._view.target]))
        else:
            expression = sum_by(labels, spelling.selector(name, self._view.target))
        return [(f"topk(20, {expression})", legend)]

    def _of_targets(self) -> Iterator[Builder[Panel]]:
        for name, title, unit in _ALWAYS_THERE:
            expression = self._view.spelling.selector(name, self._view.scraped)
            yield graph(title, "As Prometheus tells.", unit, [(expression, "{{instance}}")], width=8)
