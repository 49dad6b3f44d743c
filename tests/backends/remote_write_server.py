"""A real Prometheus that takes remote write, and tells what it was sent."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from program import Program, ask_json, require_program
from prometheus_server import FEATURES, free_port

Key = tuple[str, frozenset[tuple[str, str]]]


class RemoteWriteServer(Program):
    """A Prometheus that runs. What it has answered is still there after it was killed.

    Attributes:
        url: where it listens.
        receiver: where it takes remote write.
    """

    def __init__(self, program: str, folder: Path, features: tuple[str, ...] = FEATURES) -> None:
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        self.receiver = f"{self.url}/api/v1/write"
        (folder / "prometheus.yml").write_text("{}")
        super().__init__(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--web.enable-remote-write-receiver",
                *([f"--enable-feature={','.join(features)}"] if features else []),
            ],
            folder,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        super().start()
        self.wait(self._is_ready, "Prometheus answers")

    def _is_ready(self) -> bool | None:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=10):
                return True
        except OSError:  # nobody listens, or it is still reading what it has
            return None

    def _api(self, path: str, **parameters: str) -> Any:
        answer = self.wait(lambda: ask_json(f"{self.url}/api/v1/{path}", parameters), path)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> dict[Key, Any]:
        """Return what an expression evaluates to now, by name and labels: values, or histograms as its API has them."""
        return {_key(one["metric"]): _value(one) for one in self._api("query", query=expression)["result"]}

    def value(self, expression: str) -> float:
        """Return the one value that an expression evaluates to now."""
        (found,) = self.query(expression).values()
        return float(found)

    def exemplars(self, expression: str) -> dict[Key, list[tuple[dict[str, str], float]]]:
        """Return the exemplars of the last minutes, by the name and labels of their series."""
        now = time.time()
        found = self._api("query_exemplars", query=expression, start=str(now - 600), end=str(now + 60))
        return {
            _key(one["seriesLabels"]): [(each["labels"], float(each["value"])) for each in one["exemplars"]] for one in found
        }


def _key(metric: dict[str, str]) -> Key:
    return metric.get("__name__", ""), frozenset([pair for pair in metric.items() if pair[0] != "__name__"])


def _value(found: dict[str, Any]) -> Any:
    return found["histogram"][1] if "histogram" in found else float(found["value"][1])


def programs() -> list[str]:
    """Return which Prometheus to test with: the one that is installed; and a Prometheus 3, if the environment names one."""
    third = os.environ.get("TALLYMARK_PROMETHEUS_3")
    return [require_program("prometheus"), *([third] if third else [])]


@contextmanager
def running_receiver(program: str, folder: Path, features: tuple[str, ...] = FEATURES) -> Iterator[RemoteWriteServer]:
    """Run Prometheus for the duration of a `with` block."""
    server = RemoteWriteServer(program, folder, features)
    try:
        server.start()
        yield server
    finally:
        server.kill()
