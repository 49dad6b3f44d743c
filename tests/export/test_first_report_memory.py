"""What the first report of many series takes, and what is left of it: nothing is kept with the tags of a series."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable

import pytest

import tallymark as tm
from tallymark.export.otlp import parts
from tallymark.export.protobuf import render_protobuf
from tallymark.export.remote_write import remote_write_parts
from tallymark.export.remote_write_labels import RemoteWriteLabels

SERIES = 5000
GIVEN = {"env": "prod", "service": "orders"}

Write = Callable[[tm.Snapshot], Iterable[bytes]]
FORMATS: dict[str, Callable[[], Write]] = {
    "scrape": lambda: lambda snapshot: [render_protobuf(snapshot)],
    "scrape, tags": lambda: lambda snapshot: [render_protobuf(snapshot, tags=GIVEN)],
    "remote write": lambda: remote_write_parts,
    "remote write, tags": lambda: lambda snapshot: remote_write_parts(snapshot, labels=RemoteWriteLabels(GIVEN)),
    "otlp": lambda: lambda snapshot: parts(snapshot, prefix="", tags={}, delta=False, since=0.0),
    "otlp, tags": lambda: lambda snapshot: parts(snapshot, prefix="", tags=GIVEN, delta=False, since=0.0),
}


def registry_of(series: int, key: str) -> tm.Registry:
    registry = tm.Registry(engine="native", limits=tm.TagLimits(max_series=2 * SERIES), self_metrics=False)
    requests = registry.counter("http.requests")
    for i in range(series):
        requests.inc(**{"user": f"user-{i}", key: "" if i == 7 else f"/route/{i % 100}"})
    return registry


@pytest.mark.parametrize("key", ["route", "http.route", "Route"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_first_report_takes_few_times_its_bytes_and_leaves_nothing(name: str, key: str) -> None:
    write = FORMATS[name]()
    list(write(registry_of(2, key).snapshot()))  # imports, and what is kept of keys
    registry = registry_of(SERIES, key)
    snapshot = registry.snapshot()
    gc.collect()
    tracemalloc.start()
    try:
        made = list(write(snapshot))
        peak, size = tracemalloc.get_traced_memory()[1], sum(map(len, made))
        del made, snapshot
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert peak < (4 if name.startswith("scrape") else 3) * size
    assert left < 8 * SERIES
