"""A real VictoriaMetrics: what it was sent, by any of its protocols, and what it tells of that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from program import Program, ask, ask_json, require_program
from prometheus_server import free_port


class VictoriaMetrics(Program):
    """A VictoriaMetrics that runs. What it was sent within the last second or two is lost when it is killed.

    Attributes:
        url: where it listens: `/write` takes InfluxDB's line protocol, `/api/v1/write` Prometheus' remote write.
        graphite: host and port that take Graphite's plain text.
    """

    def __init__(self, folder: Path) -> None:
        address, self.graphite = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.url = f"http://{address}"
        super().__init__(
            [
                require_program("victoria-metrics", "victoria-metrics-prod"),
                f"-storageDataPath={folder / 'data'}",
                f"-httpListenAddr={address}",
                f"-graphiteListenAddr={self.graphite}",
                "-search.latencyOffset=0s",
                "-retentionPeriod=100y",
                "-memory.allowedBytes=64MB",
            ],
            folder,
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        super().start()
        self.wait(lambda: ask(f"{self.url}/health"), "VictoriaMetrics listens")

    def query(self, expression: str) -> list[dict[str, Any]] | None:
        """Return what an expression evaluates to now: samples with `metric` and `value`; None if there are none."""
        ask(f"{self.url}/internal/force_flush")
        answer = ask_json(f"{self.url}/api/v1/query", {"query": expression, "nocache": "1"})
        assert answer is None or answer["status"] == "success", answer
        return (answer and answer["data"]["result"]) or None

    def exported(self, selector: str = '{__name__!=""}') -> list[dict[str, Any]] | None:
        """Return all samples that a selector finds: for each series `metric`, `values` and `timestamps`; None if none."""
        ask(f"{self.url}/internal/force_flush")
        text = ask(f"{self.url}/api/v1/export", {"match[]": selector})
        return [json.loads(line) for line in text.split("\n") if line] or None if text is not None else None


@contextmanager
def running_victoriametrics(folder: Path) -> Iterator[VictoriaMetrics]:
    """Run VictoriaMetrics for the duration of a `with` block."""
    server = VictoriaMetrics(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
