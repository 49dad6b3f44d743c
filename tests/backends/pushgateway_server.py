"""A real Pushgateway: which groups it holds, and what a scrape of it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from program import Program, ask, ask_json, require_program
from prometheus_client.parser import text_string_to_metric_families
from prometheus_server import free_port

from tallymark.export.protobuf_messages import MetricFamily

Key = tuple[str, frozenset[tuple[str, str]]]

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


class PushgatewayServer(Program):
    """A Pushgateway that runs. It keeps what it holds over restarts, from its first write on.

    Attributes:
        url: where it listens.
    """

    def __init__(self, folder: Path) -> None:
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        super().__init__(
            [
                require_program("prometheus-pushgateway", "pushgateway"),
                f"--web.listen-address={address}",
                f"--persistence.file={folder / 'groups'}",
                "--persistence.interval=10ms",
            ],
            folder,
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        super().start()
        self.wait(lambda: ask(f"{self.url}/-/ready"), "the Pushgateway listens")

    def groups(self) -> list[dict[str, str]]:
        """Return the labels of each group whose last push was valid."""
        found = self.wait(lambda: ask_json(f"{self.url}/api/v1/metrics"), "groups")
        return [group["labels"] for group in found["data"] if group["last_push_successful"]]

    def samples(self) -> dict[Key, float]:
        """Return what a scrape gives, by name and labels."""
        page = self.wait(lambda: ask(f"{self.url}/metrics"), "a scrape")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def families(self) -> dict[str, Any]:
        """Return what a scrape as protobuf gives, by name."""
        with urlopen(Request(f"{self.url}/metrics", headers={"Accept": PROTOBUF}), timeout=10) as response:
            return {family.name: family for family in messages(response.read())}


def messages(page: bytes) -> list[Any]:
    """Return the families of a page, each of which comes after its length."""
    families, at = [], 0
    while at < len(page):
        length = shift = 0
        while page[at] & 128:
            length |= (page[at] & 127) << shift
            at, shift = at + 1, shift + 7
        length |= page[at] << shift
        families.append(MetricFamily.FromString(page[at + 1 : at + 1 + length]))
        at += 1 + length
    return families


@contextmanager
def running_pushgateway(folder: Path) -> Iterator[PushgatewayServer]:
    """Run a Pushgateway for the duration of a `with` block."""
    server = PushgatewayServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
