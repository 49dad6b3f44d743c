"""Reporters to JSON lines, a text file, Graphite and InfluxDB at once: totals are right, although two servers were killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from carbon_server import running_carbon
from influxdb_server import running_influxdb

import tallymark as tm
from tallymark.backends import Graphite, InfluxDB, JSONLines, TextFile

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_all_of_them_have_the_totals_in_the_end(tmp_path: Path, registry: tm.Registry) -> None:
    (tmp_path / "carbon").mkdir()
    (tmp_path / "influxdb").mkdir()
    jobs = registry.counter("jobs")
    lines, page = tmp_path / "metrics.jsonl", tmp_path / "service.prom"
    with running_carbon(tmp_path / "carbon") as carbon, running_influxdb(tmp_path / "influxdb") as influxdb:
        influxdb.query("CREATE DATABASE services")
        backends = [JSONLines(lines), TextFile(page), Graphite(carbon.address), InfluxDB(influxdb.url, database="services")]
        reporters = [tm.report_to(backend, every=3600, registry=registry) for backend in backends]
        try:
            jobs.inc(3, place="a;b,c\\")
            assert [one.report() for one in reporters] == [True] * 4
            carbon.kill()
            influxdb.kill()
            jobs.inc(4, place="a;b,c\\")
            assert [one.report() for one in reporters] == [True, True, False, False]
            carbon.start()
            influxdb.start()
            jobs.inc(5, place="a;b,c\\")
            assert [one.flush(30) for one in reporters] == [True] * 4
        finally:
            for one in reporters:
                one.close()
        carbon.wait_for("jobs", 12, place="a_b,c\\")
        assert [point["counter"] for point in influxdb.points("services", "jobs")][:2] == [3, 7]  # the one that failed, too
        assert influxdb.points("services", "jobs")[-1]["counter"] == 12
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [one["value"] for one in told if one["metric"] == "jobs"][:3] == [3, 7, 12]
    assert 'jobs_total{place="a;b,c\\\\"} 12.0' in page.read_text()
    rejected = {(one["tags"]["metric"], one["tags"]["reason"]) for one in told if one["metric"] == "tallymark_rejected"}
    assert rejected == {("jobs", "name")}
