"""`target_info`: what is scraped, as OpenMetrics and OpenTelemetry tell it."""

from __future__ import annotations

import dataclasses

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

import tallymark as tm
from tallymark.host import Host
from tallymark.host import host as host_module

HOST = Host(name="api-1", os="linux", k8s_pod="api-1", zone="eu-central-1a", cpu_count=2)
TOLD = {"host.name": "api-1", "os.type": "linux", "k8s.pod.name": "api-1", "cloud.availability_zone": "eu-central-1a"}


def test_it_is_told_on_request_alone(registry: tm.Registry) -> None:
    HOST.inject(registry)
    assert "target_info" not in registry.snapshot()
    HOST.inject(registry, target_info=True)
    [series] = registry.snapshot()["target_info"]
    assert (dict(series.tags), series.value) == (TOLD, 1.0)
    assert registry.snapshot().find("host_info", host="api-1", os="linux", k8s_pod="api-1", zone="eu-central-1a")
    HOST.inject(registry)
    assert "target_info" not in registry.snapshot()


def test_it_is_the_first_family_in_openmetrics_and_a_gauge_in_text(registry: tm.Registry) -> None:
    registry.counter("n").inc()
    HOST.inject(registry, target_info=True)
    text = tm.render_openmetrics(registry.snapshot(), escaping="allow-utf-8").decode()
    [first, *_] = list(parse_openmetrics(text))
    assert (first.name, first.type) == ("target", "info")
    assert [(sample.name, sample.labels) for sample in first.samples] == [("target_info", TOLD)]
    plain = tm.render_prometheus(registry.snapshot()).decode()
    assert "# TYPE target_info gauge\n" in plain
    assert 'target_info{cloud_availability_zone="eu-central-1a",host_name="api-1",' in plain


def test_every_text_that_is_known_has_a_name_of_opentelemetry() -> None:
    texts = {one.name for one in dataclasses.fields(Host) if "int" not in str(one.type) and "float" not in str(one.type)}
    full = Host(**{name: name for name in texts})  # type: ignore[arg-type]
    assert full._known().keys() == host_module._ATTRIBUTES.keys()
    names = list(host_module._ATTRIBUTES.values())
    assert len(set(names)) == len(texts)


def test_an_info_of_ones_own_is_not_replaced(registry: tm.Registry) -> None:
    registry.info("target", {"service.name": "orders"})
    with pytest.raises(tm.MetricConflictError, match="'target_info' exists already"):
        HOST.inject(registry, target_info=True)
