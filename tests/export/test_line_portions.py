"""Exporters of lines let other threads run after each few hundred series, whether series come or stay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import tallymark as tm
from everything import family
from tallymark.export import graphite, influx, json_lines
from tallymark.export.relabelling import Relabelling
from tallymark.metric import portions

SERIES = 2560
EXPORTERS: dict[str, Callable[[], Callable[[tm.Snapshot], object]]] = {
    "graphite": lambda: _with(graphite.series_texts({}, tagged=True), graphite.parts),
    "influx": lambda: _with(influx.series_texts({"host": "h"}), influx.parts),
    "json": lambda: lambda snapshot: list(json_lines.parts(snapshot)),
    "relabelling": lambda: Relabelling("app.", {"host": "h"}).relabelled,
}


def _with(texts: object, parts: Callable[..., Iterator[bytes]]) -> Callable[[tm.Snapshot], object]:
    return lambda snapshot: list(parts(snapshot, texts))


@pytest.mark.parametrize("name", EXPORTERS)
def test_other_threads_run_between_portions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(portions.time, "sleep", pauses.append)
    monkeypatch.setattr(portions.threading, "active_count", lambda: 2)
    assert threading.active_count() == 2
    tags = tuple([tm.TagSet(i=str(i)) for i in range(SERIES)])
    data = tm.GaugeData(tags, (0.0,) * SERIES, (1.5,) * SERIES)
    export = EXPORTERS[name]()
    for _ in range(2):
        pauses.clear()
        export(tm.Snapshot((family("g", "gauge", data),), 1.0))
        assert len(pauses) >= SERIES // 256 - 1
