"""A snapshot that has one of everything, made by hand: it is the same wherever and whenever it is made."""

from __future__ import annotations

from typing import Any

import tallymark as tm
from tallymark.engine.exemplar import Exemplar

BORN = 1_700_000_000.25
TRACE = Exemplar((("trace_id", "4bf92f3577b34da6"), ("span_id", '0"\\\n{} # é')), 0.5, 1_700_000_001.125)


def tags(*rows: dict[str, str]) -> tuple[tm.TagSet, ...]:
    return tuple([tm.TagSet(row) for row in rows])


def family(name: str, kind: str, data: Any, description: str = "", unit: str = "") -> tm.FamilySnapshot:
    return tm.FamilySnapshot(name, kind, description, unit, data)


def everything() -> tm.Snapshot:
    two = (BORN, BORN + 1)
    numbers = tags({"path": 'a"b\\c\nd', "http.method": "GET"}, {"größe": "é\u20ac", "empty": ""})
    families = [
        family(
            "http.requests", "counter", tm.SumData(numbers, two, (3.0, 1e300), True, ((TRACE,), ())), 'Say "hi" \\ now.\nYes.'
        ),
        family("sent", "counter", tm.SumData(tags({}), (0.0,), (12345678901234568.0,), True), unit="bytes"),
        family("sent.total", "gauge", tm.GaugeData(tags({}, {"at": "x"}), two, (float("nan"), float("-inf")))),
        family("jobs", "gauge", tm.GaugeData(tags({}), (BORN,), (1.0,))),
        family(
            "jobs_total", "counter", tm.SumData(tags({}), (BORN,), (9.0,), True, ((TRACE,),)), "Its family is a gauge's name."
        ),
        family("in.flight", "gauge", tm.SumData(tags({}), (BORN,), (-0.1,), False), "é\u20ac \udc80", "req/s"),
        family(
            "took", "timer",
            tm.HistogramData(
                tags({"le": "mine", "route": "/"}, {}), two, (0.1, 1.0, 2_500_000.0), ((1, 2, 0, 4), (0, 0, 0, 0)),
                (7.5, 0.0), (0.1, float("nan")), (9.0, float("nan")), ((TRACE, Exemplar((("a", "b"),), 3e6, BORN)), ()),
            ),
            "How long.", "seconds",
        ),
        family("heat", "histogram", tm.HistogramData(tags({}), (BORN,), (-1.0, 0.0), ((1, 1, 1),), (-2.0,), (-5.0,), (3.0,))),
        family(
            "size", "histogram",
            tm.ExponentialHistogramData(
                tags({}), (BORN,), (0,), (1,), ((1, (2, 3)),), ((0, ()),), (20.0,), (0.0,), (7.0,),
                ((Exemplar((), 3.0, BORN), Exemplar((("a", "new"),), 3.5, BORN + 2), Exemplar((), 7.0, BORN)),),
            ),
            unit="bytes",
        ),
        family("pause", "summary", tm.SummaryData(tags({"quantile": "p"}, {"b": ""}), two, (3, 0), (1.5, 0.0)), unit="seconds"),
        family("build", "info", tm.InfoData(tags({"version": "1.2"}), (BORN,))),
        family(
            "worker.state", "stateset",
            tm.StateSetData(
                tags({"state": "on", "w": "a"}, {"state": "on", "w": "b"}, {"state": "off", "w": "a"}, {"overflow": "true"}),
                (BORN,) * 4, (1.0, 0.0, 0.0, 1.0),
            ),
            "Which one.",
        ),
        family("target_info", "info", tm.InfoData(tags({"host.name": "vm"}), (BORN,)), "Where."),
        family("gone", "counter", tm.SumData((), (), (), True), "Nothing is left of it."),
    ]  # fmt: skip
    return tm.Snapshot(tuple(families), BORN + 10)
