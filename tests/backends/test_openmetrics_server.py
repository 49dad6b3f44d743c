"""Prometheus scrapes one of everything as OpenMetrics: what its API returns is what was recorded, exemplars included."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from prometheus_server import Prometheus, is_version_3, job, running_prometheus

import tallymark as tm
from everything import everything
from tallymark.frozen import replace

pytestmark = pytest.mark.slow


class Fixed(tm.Registry):
    """A registry that always has the same snapshot."""

    def snapshot(self) -> tm.Snapshot:
        return recent


def _recent() -> tm.Snapshot:
    """Return one of everything, whose exemplars are new: Prometheus takes no old ones."""
    families = []
    for family in everything().families:
        rows = getattr(family.data, "exemplars", ())
        if rows:
            exemplars = tuple([tuple([replace(one, time=time.time()) for one in row]) for row in rows])
            family = replace(family, data=replace(family.data, exemplars=exemplars))
        families.append(family)
    return tm.Snapshot(tuple(families), time.time())


recent = _recent()


@pytest.fixture(scope="module")
def scraped(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped everything, and some of it. Without native histograms, it asks for OpenMetrics."""
    escaping = {"metric_name_escaping_scheme": "underscores"} if is_version_3(prometheus) else {}
    with tm.serve(0, registry=Fixed()) as server:
        some = {"params": {"name[]": ["build_info", "took_seconds_bucket"]}}
        jobs = [job("all", server.port, **escaping), job("some", server.port, **some, **escaping)]
        directory = tmp_path_factory.mktemp("prometheus")
        with running_prometheus(prometheus, directory, jobs, features=("exemplar-storage",)) as running:
            running.wait_until_scraped()
            yield running


def test_series_have_the_labels_and_values_that_were_recorded(scraped: Prometheus) -> None:
    assert scraped.values('http_requests_total{job="all"}', "http_method", "path", "gr__e") == {
        ("GET", 'a"b\\c\nd', ""): 3,
        ("", "", "é\u20ac"): 1e300,
    }
    assert scraped.values('took_seconds_bucket{job="all",route="/"}', "exported_le", "le") == {
        ("mine", edge): count for edge, count in (("0.1", 1), ("1.0", 3), ("2.5e+06", 3), ("+Inf", 7))
    }
    assert scraped.values('worker_state{job="all"} == 1', "w", "worker_state") == {("a", "on"): 1}
    assert scraped.values('target_info{job="all"}', "host_name") == {("vm",): 1}


def test_a_job_that_names_metrics_has_these_alone(scraped: Prometheus) -> None:
    names = {name for (name,) in scraped.values('{job="some",__name__!~"up|scrape_.*"}', "__name__")}
    assert names == {"build_info", "took_seconds_bucket", "took_seconds_count", "took_seconds_sum"}


def test_exemplars_are_there(scraped: Prometheus) -> None:
    found = scraped.wait(lambda: scraped.exemplars('{job="all"}'), "exemplars")
    places = {(one["seriesLabels"]["__name__"], one["seriesLabels"].get("le")): one["exemplars"][0] for one in found}
    assert {place: float(one["value"]) for place, one in places.items()} == {
        ("http_requests_total", None): 0.5,
        ("took_seconds_bucket", "1.0"): 0.5,
        ("took_seconds_bucket", "+Inf"): 3e6,
        ("size_bytes_bucket", "4.0"): 3.5,
        ("size_bytes_bucket", "8.0"): 7.0,
    }
    assert places["http_requests_total", None]["labels"]["trace_id"] == "4bf92f3577b34da6"


def test_types_units_and_descriptions_are_there(scraped: Prometheus) -> None:
    metadata = scraped.get("metadata")
    told = {name: (one["type"], one["unit"]) for name, [one] in metadata.items()}
    assert told == {
        "http_requests": ("counter", ""), "sent_bytes": ("counter", "bytes"), "sent_total": ("gauge", ""),
        "jobs": ("gauge", ""), "jobs_total": ("unknown", ""), "in_flight_req_s": ("gauge", "req_s"),
        "took_seconds": ("histogram", "seconds"), "heat": ("histogram", ""), "size_bytes": ("histogram", "bytes"),
        "pause_seconds": ("summary", "seconds"), "build": ("info", ""), "worker_state": ("stateset", ""),
        "target": ("info", ""),
    }  # fmt: skip
    assert metadata["http_requests"][0]["help"] == 'Say "hi" \\ now.\nYes.'
