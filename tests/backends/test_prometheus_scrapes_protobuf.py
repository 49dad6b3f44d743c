"""Prometheus scrapes pages of its protobuf format, and its API returns what was recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_server import PageServer, serving
from prometheus_server import Prometheus, is_version_3, job, require_prometheus_3, running_prometheus

import tallymark as tm
from tallymark.engine.exemplar import Exemplar
from tallymark.export.protobuf import CONTENT_TYPE, render_protobuf

pytestmark = pytest.mark.slow

START = time.time() - 60
TRACE = (("trace_id", "4bf92f35"),)
ODD = 'q"\\\n\0é;='


def sets(*each: dict[str, str]) -> tuple[tm.TagSet, ...]:
    return tuple([tm.TagSet(one) for one in each])


def families() -> list[tm.FamilySnapshot]:
    now = time.time()
    exemplars = tuple([Exemplar(TRACE, value, now - 2 + place / 10) for place, value in enumerate((1.5, 3.0, 7.0))])
    two = (START, START)
    exponential = tm.ExponentialHistogramData(
        sets({"is": "full"}, {"is": "empty"}), two, (0, 20), (5, 0),
        ((0, (1, 2, 4, 0, 0, 0, 8)), (0, ())), ((-2, (16,)), (0, ())),
        (1234.5, 0.0), (-0.5, math.nan), (100.0, math.nan), (exemplars, ()),
    )  # fmt: skip
    fine = tm.ExponentialHistogramData(
        sets({}), (START,), (20,), (0,), ((-5, (1,) * 100),), ((0, ()),), (100.0,), (1.0,), (1.0,)
    )
    wide = tm.ExponentialHistogramData(sets({}), (START,), (-5,), (1,), ((0, (2,)),), ((0, ()),), (3.0,), (0.0,), (2.0,))
    explicit = tm.HistogramData(
        sets({"path": ODD}), (START,), (1.0, 2.0), ((2, 1, 3),), (12.5,), (0.1,), (9.0,),
        ((exemplars[0], exemplars[2]),),
    )  # fmt: skip
    counter = tm.SumData(sets({"a": "1"}, {"a": ODD}), two, (2.5, 2.0**60), True, ((exemplars[0],), ()))
    gauge = tm.GaugeData(sets({"is": "inf"}, {"is": "nan"}, {"is": "least"}), (*two, START), (math.inf, math.nan, 5e-324))
    return [
        tm.FamilySnapshot("requests.made", "counter", "Made.", "", counter),
        tm.FamilySnapshot("heat", "gauge", "\udc80", "celsius", gauge),
        tm.FamilySnapshot("took", "timer", "", "seconds", explicit),
        tm.FamilySnapshot("native", "histogram", "", "bytes", exponential),
        tm.FamilySnapshot("fine", "histogram", "", "", fine),
        tm.FamilySnapshot("wide", "histogram", "", "", wide),
        tm.FamilySnapshot("asked", "summary", "", "", tm.SummaryData(sets({}), (START,), (3,), (4.5,))),
        tm.FamilySnapshot("built", "info", "", "", tm.InfoData(sets({"version": "1"}), (START,))),
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    snapshot = tm.Snapshot(tuple(families()), time.time())
    pages: Any = {
        "/native": (CONTENT_TYPE, render_protobuf(snapshot)),
        "/both": (CONTENT_TYPE, render_protobuf(snapshot, classic=True)),
        "/utf8": (f"{CONTENT_TYPE}; escaping=allow-utf-8", render_protobuf(snapshot, escaping="allow-utf-8")),
    }
    with serving(pages) as running:
        yield running


@pytest.fixture(scope="module")
def scraped(prometheus: str, server: PageServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped each page."""
    jobs: Any = [job("native", server.port, "/native"), job("both", server.port, "/both")]
    directory: Path = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(prometheus, directory, jobs) as running:
        running.wait_until_scraped()
        yield running


def native(running: Prometheus, expression: str) -> Any:
    """Return a native histogram that is the only result of an expression."""
    (only,) = running.wait_for(expression)
    return only["histogram"][1]


def test_prometheus_asks_for_the_content_type(scraped: Prometheus, server: PageServer) -> None:
    accepted = server.accepted["/native"][-1]
    assert "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited" in accepted


def test_numbers_are_stored(scraped: Prometheus) -> None:
    assert scraped.values('requests_made_total{job="native"}', "a") == {("1",): 2.5, (ODD,): 2.0**60}
    heat = scraped.values('heat_celsius{job="native"}', "is")
    assert math.isnan(heat.pop(("nan",)))
    assert heat == {("inf",): math.inf, ("least",): 5e-324}
    assert scraped.values('{__name__=~"asked_(sum|count)", job="native"}', "__name__") == {
        ("asked_sum",): 4.5, ("asked_count",): 3.0,
    }  # fmt: skip
    assert scraped.values('built_info{job="native"}', "version") == {("1",): 1.0}


@pytest.mark.parametrize("page", ["native", "both"])
def test_explicit_buckets_are_stored(scraped: Prometheus, page: str) -> None:
    found = scraped.values(f'took_seconds_bucket{{job="{page}"}}', "path", "le")
    assert found == {(ODD, "1.0"): 2, (ODD, "2.0"): 3, (ODD, "+Inf"): 6}
    assert scraped.values(f'took_seconds_count{{job="{page}"}}') == {(): 6}
    assert scraped.values(f'took_seconds_sum{{job="{page}"}}') == {(): 12.5}


@pytest.mark.parametrize("page", ["native", "both"])
def test_exponential_buckets_are_stored_as_native_ones(scraped: Prometheus, page: str) -> None:
    stored = native(scraped, f'native_bytes{{job="{page}", is="full"}}')
    assert (stored["count"], stored["sum"]) == ("36", "1234.5")
    assert [[float(part) for part in bucket[1:]] for bucket in stored["buckets"]] == [
        [-0.5, -0.25, 16], [-5e-324, 5e-324, 5], [1, 2, 1], [2, 4, 2], [4, 8, 4], [64, 128, 8],
    ]  # fmt: skip
    assert scraped.values(f'histogram_count(native_bytes{{job="{page}"}})', "is") == {("full",): 36, ("empty",): 0}
    assert scraped.values(f'histogram_sum(native_bytes{{job="{page}"}})', "is") == {("full",): 1234.5, ("empty",): 0}
    (quantile,) = scraped.values(f'histogram_quantile(0.9, native_bytes{{job="{page}", is="full"}})').values()
    assert 64 < quantile <= 128
    (quantile,) = scraped.values(f'histogram_quantile(0.1, native_bytes{{job="{page}", is="full"}})').values()
    assert -0.5 <= quantile <= -0.25


def test_a_histogram_without_observations_is_native_too(scraped: Prometheus) -> None:
    assert native(scraped, 'native_bytes{job="native", is="empty"}')["count"] == "0"
    assert scraped.query('native_bytes_count{job="native"}') is None


def test_finer_buckets_are_merged_so_that_prometheus_takes_them(scraped: Prometheus) -> None:
    stored = native(scraped, 'fine{job="native"}')
    buckets = [[float(part) for part in bucket[1:]] for bucket in stored["buckets"]]
    base = 2**2**-8
    assert buckets == [pytest.approx([1 / base, 1, 5]), pytest.approx([1, base, 95])]


def test_wider_buckets_are_stored_as_classic_ones(scraped: Prometheus) -> None:
    assert scraped.values('wide_bucket{job="native"}', "le")["4.294967296e+09",] == 3


def exemplars(running: Prometheus, expression: str) -> list[tuple[str, str, float]]:
    """Return the exemplars that are stored: the bound of their bucket, the trace, the value."""

    def found() -> list[tuple[str, str, float]] | None:
        answer = running.exemplars(expression)
        pairs = [(series["seriesLabels"], one) for series in answer or () for one in series["exemplars"]]
        return sorted([(of.get("le", ""), one["labels"]["trace_id"], float(one["value"])) for of, one in pairs]) or None

    return running.wait(found, f"exemplars of {expression}")


def test_exemplars_of_counters_and_of_explicit_buckets_are_stored(scraped: Prometheus) -> None:
    assert exemplars(scraped, 'requests_made_total{job="native"}') == [("", "4bf92f35", 1.5)]
    assert exemplars(scraped, 'took_seconds_bucket{job="native"}') == [("+Inf", "4bf92f35", 7.0), ("2.0", "4bf92f35", 1.5)]


def test_exemplars_of_native_histograms_are_stored(scraped: Prometheus, prometheus: str) -> None:
    stored = exemplars(scraped, 'native_bytes{job="both"}')
    if is_version_3(prometheus):
        assert exemplars(scraped, 'native_bytes{job="native"}') == stored == [("", "4bf92f35", x) for x in (1.5, 3.0, 7.0)]
    else:  # 2.42 reads one a scrape, and only that of a classic bucket
        assert stored == [("", "4bf92f35", 1.5)]


# What Prometheus 3 alone can do


@pytest.fixture(scope="module")
def scraped_by_3(server: PageServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    jobs: Any = [
        job("utf8", server.port, "/utf8"),
        job("classic", server.port, "/both", always_scrape_classic_histograms=True),
    ]
    features = ("native-histograms", "exemplar-storage", "created-timestamp-zero-ingestion")
    directory = tmp_path_factory.mktemp("prometheus3")
    with running_prometheus(require_prometheus_3(), directory, jobs, features=features) as running:
        running.wait_until_scraped()
        yield running


def test_names_in_utf8_are_stored_as_they_are(scraped_by_3: Prometheus) -> None:
    assert scraped_by_3.values('{"requests.made_total", job="utf8"}', "a") == {("1",): 2.5, (ODD,): 2.0**60}


def test_classic_buckets_are_stored_beside_native_ones_on_request(scraped_by_3: Prometheus) -> None:
    found = scraped_by_3.values('native_bytes_bucket{job="classic", is="full"}', "le")
    expected = {"-0.25": 16, "0.0": 21, "1.0": 21, "2.0": 22, "4.0": 24, "8.0": 28, "128.0": 36, "+Inf": 36}
    assert found.items() >= {(bound,): count for bound, count in expected.items()}.items()
    assert native(scraped_by_3, 'native_bytes{job="classic", is="full"}')["count"] == "36"


def test_counters_and_histograms_start_when_they_were_created(scraped_by_3: Prometheus) -> None:
    made = 'resets(requests_made_total{job="classic"}[10m:1s]) + count_over_time(requests_made_total{job="classic"}[10m])'
    assert min(scraped_by_3.values(made, "a").values()) >= 2  # a zero at their creation, and what was scraped
    (first,) = scraped_by_3.values('min_over_time(requests_made_total{job="classic", a="1"}[10m])').values()
    assert first == 0
