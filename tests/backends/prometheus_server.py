"""A real Prometheus that scrapes what a test serves, and tells what it stored."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import pytest

T = TypeVar("T")

FEATURES = ("native-histograms", "exemplar-storage")


class Prometheus:
    """The API of a Prometheus that runs. Its methods return None while it is not up, or has nothing to tell yet.

    Attributes:
        url: where it listens.
        directory: what it stores, its configuration, and its log.
        jobs: the names of what it scrapes.
    """

    def __init__(self, url: str, directory: Path, jobs: list[str], process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.directory = directory
        self.jobs = jobs
        self._process = process

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the API; None while nobody answers."""
        try:
            with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters, quote_via=quote)}", timeout=5) as response:
                answer = json.load(response)
        except (URLError, OSError):
            return None
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]] | None:
        """Return what an expression evaluates to now: samples with `metric`, and `value` or `histogram`."""
        data = self.get("query", query=expression)
        return data["result"] or None if data is not None else None

    def exemplars(self, expression: str) -> list[dict[str, Any]] | None:
        """Return the exemplars of the last minutes: for each series its `seriesLabels`, and `exemplars`."""
        now = time.time()
        return self.get("query_exemplars", query=expression, start=str(now - 600), end=str(now + 60)) or None

    def targets(self) -> list[dict[str, Any]] | None:
        """Return the targets that it has scraped: each with its `health`, and `lastError`."""
        data = self.get("targets", state="active")
        done = [target for target in data["activeTargets"] if target["health"] != "unknown"] if data else []
        return done or None

    def wait(self, read: Callable[[], T | None], what: str, seconds: float = 60) -> T:
        """Return the first result of `read` that is not None; fail with the targets' errors if there is none in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            result = read()
            if result is not None:
                return result
            time.sleep(0.05)
        errors = [(target["scrapeUrl"], target["health"], target["lastError"]) for target in self.targets() or ()]
        log = (self.directory / "log").read_text(errors="replace")[-2000:]
        pytest.fail(f"{what}: not within {seconds} seconds, or before it ended. Targets: {errors}. Log: {log}")

    def wait_for(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression evaluates to, as soon as there is anything."""
        return self.wait(lambda: self.query(expression), expression)

    def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the values that an expression evaluates to, by some labels, as soon as there are any."""
        found = self.wait_for(expression)
        return {tuple([one["metric"].get(label, "") for label in labels]): float(one["value"][1]) for one in found}

    def exemplars_of(self, expression: str, *labels: str) -> dict[tuple[str, ...], tuple[str, float, str]]:
        """Return the last exemplar of each series, by some labels: its trace, its value, its span."""
        found = self.wait(lambda: self.exemplars(expression), f"exemplars of {expression}")
        last = {tuple([one["seriesLabels"].get(label, "") for label in labels]): one["exemplars"][-1] for one in found}
        return {
            key: (one["labels"]["trace_id"], float(one["value"]), one["labels"].get("span_id", "")) for key, one in last.items()
        }

    def wait_until_scraped(self, **down: str) -> None:
        """Wait until each target was scraped. On a busy machine a scrape may fail at first; one that always does is a failure.

        Args:
            down: the jobs whose scrapes must fail, with the error.
        """

        wanted = {name: ("down", down[name]) if name in down else ("up", "") for name in self.jobs}

        def is_done() -> bool | None:
            found = {one["labels"]["job"]: (one["health"], one["lastError"]) for one in self.targets() or ()}
            return found == wanted or None

        self.wait(is_done, "all targets scraped")


@contextmanager
def running_prometheus(
    program: str,
    directory: Path,
    scrape_configs: list[Mapping[str, Any]],
    *,
    features: tuple[str, ...] = FEATURES,
    interval: str = "1s",
    **settings: Any,
) -> Iterator[Prometheus]:
    """Run Prometheus for the duration of a `with` block.

    Args:
        program: the path of `prometheus`.
        directory: an empty one, for its files.
        scrape_configs: as in its configuration; `job` makes one.
        features: what to enable.
        interval: between scrapes.
        settings: other sections of its configuration.
    """
    scraping = {"scrape_interval": interval, "scrape_timeout": interval}
    configuration = directory / "prometheus.yml"  # JSON is YAML
    configuration.write_text(json.dumps({"global": scraping, "scrape_configs": scrape_configs, **settings}))
    address = f"127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        *([f"--enable-feature={','.join(features)}"] if features else []),
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen([program, *arguments], stdout=log, stderr=log) as process:
        try:
            yield Prometheus(f"http://{address}", directory, [str(one["job_name"]) for one in scrape_configs], process)
        finally:
            process.kill()  # nobody reads what it stored


def job(name: str, port: int, path: str = "/metrics", **settings: Any) -> dict[str, Any]:
    """Return the configuration of a job that scrapes one target on this machine."""
    return {"job_name": name, "metrics_path": path, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}], **settings}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_prometheus() -> str:
    """Return the path of the `prometheus` that is installed; without it, skip, or fail if the environment requires it."""
    path = shutil.which("prometheus")
    if path is None:
        absent = "prometheus is not on the PATH"
        if os.environ.get("TALLYMARK_REQUIRE_PROMETHEUS") == "1":
            pytest.fail(f"{absent}, but TALLYMARK_REQUIRE_PROMETHEUS=1")
        pytest.skip(absent)
    return path


def require_prometheus_3() -> str:
    """Return the path of a Prometheus 3, which the environment names; skip if it names none."""
    path = os.environ.get("TALLYMARK_PROMETHEUS_3")
    if path is None:
        pytest.skip("TALLYMARK_PROMETHEUS_3 names no program")
    return path


def is_version_3(program: str) -> bool:
    """Return True if a program is the Prometheus 3 that the environment names."""
    return program == os.environ.get("TALLYMARK_PROMETHEUS_3")
