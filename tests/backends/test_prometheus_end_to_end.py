"""From a record to Prometheus' API: what was recorded comes back, whoever serves it, with whatever it is guarded by.

One Prometheus scrapes the same records from: `tm.serve` on each engine; `tm.serve` with TLS, certificates of clients and a
password; and uvicorn, two of whose workers share a registry with the process of the tests, with TLS and a token.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import trustme
from prometheus_server import Prometheus, free_port, is_version_3, job, require_prometheus_3, running_prometheus
from scraped_service import BY_HAND, ODD, SAMPLED, VALUES, record, shared_registry

import tallymark as tm

pytestmark = pytest.mark.slow

USER, PASSWORD, TOKEN = "prometheus", "pässword", "tøken"
JOBS = {"native": 1, "reference": 1, "guarded": 1, "workers": 3}
"""Who is scraped, and how many processes have recorded there."""

PROTOCOLS = {
    "OpenMetricsText1.0.0": True, "OpenMetricsText0.0.1": False, "PrometheusText1.0.0": True, "PrometheusText0.0.4": False,
}  # fmt: skip
"""The formats of text that a Prometheus 3 can be told to ask for, and whether each has names in UTF-8."""


@dataclass(frozen=True)
class Certificates:
    """The files of a certificate of this machine, which is that of the client too."""

    cert: Path
    key: Path
    authority: Path

    @classmethod
    def issued(cls, folder: Path) -> Certificates:
        authority, files = trustme.CA(), cls(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(files.cert))
        certificate.private_key_pem.write_to_path(str(files.key))
        authority.cert_pem.write_to_path(str(files.authority))
        return files

    @property
    def job(self) -> dict[str, Any]:
        """How Prometheus is told to use them."""
        files = {"ca_file": self.authority, "cert_file": self.cert, "key_file": self.key}
        return {"scheme": "https", "tls_config": {name: str(path) for name, path in files.items()}}


@dataclass(frozen=True)
class Services:
    """What is scraped.

    Attributes:
        registries: by the job that scrapes them.
        jobs: what Prometheus is told.
        port: of the job `native`.
    """

    registries: dict[str, tm.Registry]
    jobs: list[dict[str, Any]]
    port: int


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    files, shared = Certificates.issued(folder), shared_registry(str(folder / "shared"))
    registries = {name: tm.Registry(exemplars=tm.current_span_exemplar, engine=name) for name in ("native", "reference")}
    registries |= {"guarded": registries["native"], "workers": shared}
    with ExitStack() as stack:
        port = stack.enter_context(workers(folder, files))
        for registry in (registries["native"], registries["reference"], shared):
            record(registry)
        guard = {"tls": tm.TLS(files.cert, files.key, files.authority), "auth": tm.BasicAuth(USER, PASSWORD)}
        native, reference, guarded = (
            stack.enter_context(tm.serve(0, registry=registries[name], **arguments)).port
            for name, arguments in (("native", {}), ("reference", {}), ("guarded", guard))
        )
        wait_for_workers(f"https://127.0.0.1:{port}/metrics", files)
        jobs = [
            job("native", native),
            job("reference", reference),
            job("guarded", guarded, **files.job, basic_auth={"username": USER, "password": PASSWORD}),
            job("workers", port, **files.job, authorization={"credentials": TOKEN}),
            job("stranger", port, **files.job, authorization={"credentials": "guessed"}),
        ]
        yield Services(registries, jobs, native)


@contextmanager
def workers(folder: Path, files: Certificates) -> Iterator[int]:
    """Run uvicorn with two workers, which record and serve; give their port."""
    port = free_port()
    environment = os.environ | {"TALLYMARK_SHARED": str(folder / "shared"), "TALLYMARK_TOKEN": TOKEN}
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--port", str(port), "--log-level", "warning"]
    command += ["--app-dir", str(Path(__file__).parent), "--ssl-certfile", str(files.cert), "--ssl-keyfile", str(files.key)]
    process = subprocess.Popen([*command, "scraped_service:app"], env=environment)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(30)


def wait_for_workers(url: str, files: Certificates) -> None:
    """Wait until each process has recorded all, and the workers answer."""
    request = Request(url, headers={"Authorization": f"Bearer {TOKEN}".encode()})  # type: ignore[dict-item]
    context, deadline = ssl.create_default_context(cafile=str(files.authority)), time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urlopen(request, timeout=5, context=context) as response:
                if f"\nrecorded_total {JOBS['workers']}.0\n".encode() in response.read():
                    return
        except OSError:  # it does not listen yet
            pass
        time.sleep(0.05)
    pytest.fail("the workers did not record, or do not answer")


@pytest.fixture(scope="module")
def running(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Prometheus]]:
    """Each Prometheus, by what it is for. They start together, since the first scrape comes after five seconds."""
    prometheus_3 = os.environ.get("TALLYMARK_PROMETHEUS_3")
    as_text = [job(protocol, services.port, scrape_protocols=[protocol]) for protocol in PROTOCOLS]
    wanted = {
        "2": (shutil.which("prometheus"), services.jobs),
        "3": (prometheus_3, services.jobs),
        "text": (prometheus_3, as_text),
    }
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running_prometheus(program, tmp_path_factory.mktemp("prometheus"), jobs))
            for name, (program, jobs) in wanted.items()
            if program is not None
        }


@pytest.fixture(scope="module")
def scraped(prometheus: str, running: dict[str, Prometheus]) -> Prometheus:
    """A Prometheus that has scraped each service, by protobuf, since native histograms are enabled."""
    found = running["3" if is_version_3(prometheus) else "2"]
    found.wait_until_scraped(stranger="server returned HTTP status 401 Unauthorized")
    return found


by_job = pytest.mark.parametrize("name", JOBS)


@by_job
def test_counters_gauges_facts_and_states(scraped: Prometheus, name: str) -> None:
    many = JOBS[name]
    assert scraped.values(f'http_requests_total{{job="{name}"}}', "http_route") == {
        (ODD,): 3 * many, ("/by-hand",): 0.5 * many, ("/sampled",): many, ("/not-sampled",): many,
    }  # fmt: skip
    assert scraped.values(f'queue_depth{{job="{name}"}}') == {(): -2.5}
    assert scraped.values(f'build_info{{job="{name}"}}', "version") == {("1.2",): 1}
    assert scraped.values(f'worker_state{{job="{name}"}}', "state") == {("starting",): 0, ("running",): 1}
    assert scraped.query(f'tallymark_rejected_total{{job="{name}"}} > 0') is None


@by_job
def test_explicit_buckets(scraped: Prometheus, name: str) -> None:
    many = JOBS[name]
    assert scraped.values(f'size_bytes_bucket{{job="{name}"}}', "le") == {
        ("1.0",): many, ("10.0",): 3 * many, ("+Inf",): 4 * many,
    }  # fmt: skip
    assert scraped.values(f'size_bytes_sum{{job="{name}"}}') == {(): 1_000_000_010.5 * many}
    assert scraped.values(f'took_seconds_bucket{{job="{name}"}}', "le") == {("0.1",): 0, ("1.0",): many, ("+Inf",): many}


@by_job
def test_exponential_buckets_are_native_histograms(scraped: Prometheus, name: str) -> None:
    many, total = JOBS[name], sum(VALUES)
    assert scraped.values(f'histogram_count(spread{{job="{name}"}})', "side") == {
        ("above",): 1001 * many, ("below",): 1000 * many,
    }  # fmt: skip
    assert scraped.values(f'histogram_sum(spread{{job="{name}"}})', "side") == {
        ("above",): total * many, ("below",): -total * many,
    }  # fmt: skip
    assert scraped.values(f'histogram_count(slow_seconds{{job="{name}"}})', "traced") == {("yes",): many, ("no",): many}
    assert scraped.values(f'histogram_sum(slow_seconds{{job="{name}"}})', "traced") == {("yes",): many / 4, ("no",): many / 4}
    assert scraped.query(f'spread_count{{job="{name}"}}') is None


@by_job
@pytest.mark.parametrize("q", [0.1, 0.5, 0.9, 0.99, 1])
def test_quantiles_are_within_the_stated_error(scraped: Prometheus, services: Services, name: str, q: float) -> None:
    read = services.registries[name].histogram("spread", exponential=True).with_tags(side="above").snapshot()
    true = q * len(VALUES)
    assert abs(read.quantile(q) / true - 1) <= read.relative_error + 0.001  # a rank may be one more, or one less
    assert 0.01 < read.relative_error < 0.05
    width = 2 * read.relative_error / (1 - read.relative_error)  # Prometheus interpolates: any place in the bucket
    for side, quantile in (("above", q), ("below", 1 - q)):
        (found,) = scraped.values(f'histogram_quantile({quantile}, spread{{job="{name}",side="{side}"}})').values()
        assert abs(abs(found) / true - 1) <= width + 0.01
        assert (found > 0) == (side == "above")


@by_job
def test_exemplars_of_counters_by_hand_and_of_sampled_spans(scraped: Prometheus, name: str) -> None:
    found = scraped.exemplars_of(f'http_requests_total{{job="{name}"}}', "http_route")
    assert {route: (trace, value) for route, (trace, value, _) in found.items()} == {
        ("/by-hand",): (BY_HAND, 0.5), ("/sampled",): (f"{SAMPLED:032x}", 1),
    }  # fmt: skip
    assert re.fullmatch("[0-9a-f]{16}", found["/sampled",][2])


@by_job
def test_exemplars_of_explicit_buckets(scraped: Prometheus, name: str) -> None:
    found = scraped.exemplars_of(f'size_bytes_bucket{{job="{name}"}}', "le")
    assert found == {(le,): (BY_HAND, value, "00f067aa0ba902b7") for le, value in (("1.0", 0.5), ("10.0", 5), ("+Inf", 1e9))}
    found = scraped.exemplars_of(f'took_seconds_bucket{{job="{name}"}}', "le")
    assert {le: one[:2] for le, one in found.items()} == {("1.0",): (f"{SAMPLED:032x}", 0.5)}


@by_job
def test_exemplars_of_native_histograms(scraped: Prometheus, prometheus: str, name: str) -> None:
    if is_version_3(prometheus):
        found = scraped.exemplars_of(f'slow_seconds{{job="{name}"}}', "traced")
        assert {traced: one[:2] for traced, one in found.items()} == {("yes",): (f"{SAMPLED:032x}", 0.25)}
    else:  # 2.42 reads those of classic buckets alone
        assert scraped.exemplars(f'slow_seconds{{job="{name}"}}') is None


# What Prometheus 3 alone can do


@pytest.fixture(scope="module")
def scraped_as_text(running: dict[str, Prometheus]) -> Prometheus:
    """A Prometheus 3 that asks for each of the formats of text."""
    require_prometheus_3()
    running["text"].wait_until_scraped()
    return running["text"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_format_tells_the_same(scraped_as_text: Prometheus, protocol: str) -> None:
    name, route = ("http.requests_total", "http.route") if PROTOCOLS[protocol] else ("http_requests_total", "http_route")
    assert scraped_as_text.values(f'{{"{name}",job="{protocol}"}}', route) == {
        (ODD,): 3, ("/by-hand",): 0.5, ("/sampled",): 1, ("/not-sampled",): 1,
    }  # fmt: skip
    state = "worker_state" if protocol.startswith("OpenMetrics") else "state"
    assert scraped_as_text.values(f'worker_state{{job="{protocol}"}}', state) == {("starting",): 0, ("running",): 1}
    counts = scraped_as_text.values(f'spread_bucket{{job="{protocol}",le="+Inf"}}', "side")
    assert counts == {("above",): 1001, ("below",): 1000}
    (median,) = scraped_as_text.values(f'histogram_quantile(0.5, spread_bucket{{job="{protocol}",side="above"}})').values()
    assert abs(median / 500 - 1) < 0.1


@pytest.mark.parametrize("protocol", [one for one in PROTOCOLS if one.startswith("OpenMetrics")])
def test_exemplars_of_exponential_histograms_in_openmetrics(scraped_as_text: Prometheus, protocol: str) -> None:
    found = scraped_as_text.exemplars_of(f'slow_seconds_bucket{{job="{protocol}"}}', "traced")
    assert {traced: one[:2] for traced, one in found.items()} == {("yes",): (f"{SAMPLED:032x}", 0.25)}
