"""Pages of metrics, read with the parsers of prometheus_client, so that two of them can be compared."""

from __future__ import annotations

from math import isnan
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

__all__ = ["openmetrics", "prometheus"]


def prometheus(page: bytes) -> dict[str, Any]:
    """Return the families of a page of Prometheus text: type, description, samples."""
    return _families(read_prometheus(page.decode()))


def openmetrics(page: bytes) -> dict[str, Any]:
    """Return the families of a page of OpenMetrics: type, description, unit, samples, exemplars."""
    return _families(read_openmetrics(page.decode()))


def _families(families: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for family in families:
        assert family.name not in found
        found[family.name] = family.type, family.documentation, family.unit, _samples(family.samples)
    return found


def _samples(samples: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for sample in samples:
        key = (sample.name, frozenset(_labels(sample.labels)))
        assert key not in found
        exemplar = sample.exemplar
        found[key] = ("NaN" if isnan(sample.value) else sample.value), exemplar and _noted(exemplar)
    return found


def _noted(exemplar: Any) -> Any:
    return tuple(sorted(exemplar.labels.items())), exemplar.value, exemplar.timestamp and float(exemplar.timestamp)


def _labels(labels: dict[str, str]) -> Any:
    for name, value in labels.items():
        if value:  # to Prometheus, an empty one is none
            yield name, float(value) if name in ("le", "quantile") else value
