"""A real Prometheus scrapes the demo."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from demo_process import poll, running_demo

pytestmark = pytest.mark.slow

CONFIGURATION = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: demo
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_prometheus(program: str, directory: Path, target: int) -> Iterator[str]:
    """Run Prometheus for the duration of a `with` block; the URL of its API."""
    configuration = directory / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(port=target))
    address = f"127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen([program, *arguments], stdout=log, stderr=log) as process:
        try:
            yield f"http://{address}/api/v1"
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def query(api: str, expression: str) -> list[dict[str, Any]] | None:
    """Return what an expression evaluates to; None while there is nothing."""
    try:
        with urlopen(f"{api}/query?query={quote(expression)}", timeout=5) as response:
            answer = json.load(response)
    except (URLError, OSError):  # not up yet
        return None
    assert answer["status"] == "success", answer
    return answer["data"]["result"] or None


def test_prometheus_scrapes_the_demo(prometheus: str, tmp_path: Path) -> None:
    with running_demo("--seconds", "0", "--port", "0") as demo, running_prometheus(prometheus, tmp_path, demo.port) as api:
        every = 'count(operations_total{job="demo"}) == 9'
        poll(lambda: query(api, every), "three operations in three statuses in Prometheus")
        assert query(api, "up == 1")
        operations = query(api, "operations_total") or []
        assert {series["metric"]["operation"] for series in operations} == {"auth", "query", "cache"}
        p95 = "histogram_quantile(0.95, sum by (operation, le) (operation_duration_seconds_bucket))"
        assert len(query(api, p95) or []) == 3
        assert demo.end(signal.SIGTERM).status == 0
