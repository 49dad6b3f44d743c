"""Parts that are too large for a backend are divided, down to a single series, and tell the same together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import ScopeMetrics

from everything import everything
from remote_write_messages import decoded
from tallymark.backends import OTLP, Graphite, InfluxDB, Pushgateway, RemoteWrite
from tallymark.report.backend import Backend


def lines(part: bytes) -> list[str]:
    assert part.endswith(b"\n")
    return part[:-1].decode().split("\n")


def series(part: bytes) -> list[str]:
    request = decoded([part])
    return [repr(one) for one in (*request.timeseries, *request.metadata)]


def points(part: bytes) -> list[str]:
    """Return each point with all that is told of its metric."""
    (metric,) = ScopeMetrics.FromString(part).metrics
    data = getattr(metric, metric.WhichOneof("data"))
    found = list(data.data_points)
    del data.data_points[:]
    return [f"{metric!r} {point!r}" for point in found]


DIVIDED: dict[str, tuple[Callable[[], Backend], Callable[[bytes], list[str]]]] = {
    "influxdb": (lambda: InfluxDB("http://h", database="d"), lines),
    "otlp": (lambda: OTLP("http://h", environ={}), points),
    "otlp_delta": (lambda: OTLP("http://h", temporality="delta", environ={}), points),
    "remote_write": (lambda: RemoteWrite("http://h/w"), series),
    "remote_write_classic": (lambda: RemoteWrite("http://h/w", native_histograms=False), series),
}


def smallest(backend: Backend, part: bytes) -> Iterator[bytes]:
    """Yield what a part is divided into in the end."""
    smaller = backend.split(part)
    if not smaller:
        yield part
    for one in smaller:
        assert len(one) < len(part)
        yield from smallest(backend, one)


@pytest.mark.parametrize("name", DIVIDED)
def test_what_is_divided_tells_the_same(name: str) -> None:
    make, read = DIVIDED[name]
    backend = make()
    parts = list(backend.encode(everything(), 0.0))
    told = Counter([one for part in parts for one in read(part)])
    divided = [one for part in parts for one in smallest(backend, part)]
    assert Counter([one for part in divided for one in read(part)]) == told
    assert all(len(read(part)) == 1 for part in divided)
    assert len(divided) > len(parts)


@pytest.mark.parametrize("make", [lambda: Graphite("h:1"), lambda: Pushgateway("http://h", job="j")])
def test_what_need_not_or_cannot_be_divided_is_not(make: Any) -> None:
    assert not make().split(b"a 1 1\nb 2 1\n")
