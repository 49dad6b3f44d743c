"""A real Prometheus scrapes one of everything: what its API returns is what was recorded, exemplars included."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from everything import everything

import tallymark as tm
from tallymark.frozen import replace

pytestmark = pytest.mark.slow

PATIENCE = 60.0
CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: all
  static_configs: [{{targets: ['{target}']}}]
- job_name: some
  params: {{'name[]': [build_info, took_seconds_bucket]}}
  static_configs: [{{targets: ['{target}']}}]
"""


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
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Ask the API of a Prometheus that has scraped everything."""
    program = shutil.which("prometheus")
    if program is None:
        assert os.environ.get("TALLYMARK_REQUIRE_PROMETHEUS") != "1", "prometheus is not on the PATH"
        pytest.skip("prometheus is not on the PATH")
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def ask(path: str, **query: object) -> Any:
        with urllib.request.urlopen(f"http://{address}/api/v1/{path}?{urlencode(query)}", timeout=PATIENCE) as response:
            return json.load(response)["data"]

    with tm.serve(0, registry=Fixed()) as server:
        (folder / "prometheus.yml").write_text(CONFIGURATION.format(target=f"127.0.0.1:{server.port}"))
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        options += [f"--web.listen-address={address}", "--enable-feature=exemplar-storage"]
        with subprocess.Popen([program, *options], stderr=subprocess.DEVNULL) as process:
            try:
                _await(lambda: len(ask("query", query="up == 1")["result"]) == 2)
                yield ask
            finally:
                process.terminate()


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:  # it does not listen yet
            pass
        time.sleep(0.2)
    raise AssertionError("Prometheus scraped nothing, or rejected a page")


def values(found: Any) -> dict[tuple[tuple[str, str], ...], str]:
    """Return values by labels, without those that Prometheus adds."""
    return {
        tuple(sorted((key, value) for key, value in one["metric"].items() if key not in ("__name__", "instance", "job"))): one[
            "value"
        ][1]
        for one in found["result"]
    }


def test_series_have_the_labels_and_values_that_were_recorded(api: Callable[..., Any]) -> None:
    assert values(api("query", query="http_requests_total")) == {
        (("http_method", "GET"), ("path", 'a"b\\c\nd')): "3",
        (("gr__e", "é\u20ac"),): "1e+300",
    }
    assert values(api("query", query='took_seconds_bucket{job="all",route="/"}')) == {
        (("exported_le", "mine"), ("le", edge), ("route", "/")): count
        for edge, count in (("0.1", "1"), ("1.0", "3"), ("2.5e+06", "3"), ("+Inf", "7"))
    }
    assert values(api("query", query="worker_state == 1")) == {(("w", "a"), ("worker_state", "on")): "1"}
    assert values(api("query", query="target_info")) == {(("host_name", "vm"),): "1"}


def test_a_job_that_names_metrics_has_these_alone(api: Callable[..., Any]) -> None:
    found = api("query", query='{job="some",__name__!~"up|scrape_.*"}')["result"]
    names = {one["metric"]["__name__"] for one in found}
    assert names == {"build_info", "took_seconds_bucket", "took_seconds_count", "took_seconds_sum"}


def test_exemplars_are_there(api: Callable[..., Any]) -> None:
    found = api("query_exemplars", query='{job="all"}', start=time.time() - 300, end=time.time() + 300)
    places = {(one["seriesLabels"]["__name__"], one["seriesLabels"].get("le")): one["exemplars"][0] for one in found}
    assert {place: float(one["value"]) for place, one in places.items()} == {
        ("http_requests_total", None): 0.5,
        ("took_seconds_bucket", "1.0"): 0.5,
        ("took_seconds_bucket", "+Inf"): 3e6,
        ("size_bytes_bucket", "4.0"): 3.5,
        ("size_bytes_bucket", "8.0"): 7.0,
    }
    assert places["http_requests_total", None]["labels"]["trace_id"] == "4bf92f3577b34da6"


def test_types_units_and_descriptions_are_there(api: Callable[..., Any]) -> None:
    told = {name: (one["type"], one["unit"]) for name, [one] in api("metadata").items()}
    assert told == {
        "http_requests": ("counter", ""), "sent_bytes": ("counter", "bytes"), "sent_total": ("gauge", ""),
        "jobs": ("gauge", ""), "jobs_total": ("unknown", ""), "in_flight_req_s": ("gauge", "req_s"),
        "took_seconds": ("histogram", "seconds"), "heat": ("histogram", ""), "size_bytes": ("histogram", "bytes"),
        "pause_seconds": ("summary", "seconds"), "build": ("info", ""), "worker_state": ("stateset", ""),
        "target": ("info", ""),
    }  # fmt: skip
    assert api("metadata", metric="http_requests")["http_requests"][0]["help"] == 'Say "hi" \\ now.\nYes.'
