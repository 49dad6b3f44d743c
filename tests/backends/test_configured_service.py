"""A service that its deployment alone wires to a real Pushgateway, and `tallymark check` against it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pushgateway_server import PushgatewayServer, running_pushgateway

import tallymark as tm
from tallymark.cli import main

pytestmark = [pytest.mark.server, pytest.mark.slow]

PROGRAM = """
import prometheus_client
import tallymark as tm

hits = tm.counter("hits")
tm.configure()
tm.registry().register(tm.bridges.from_prometheus_client())
prometheus_client.Counter("theirs", "Of another library.").inc(4)
hits.inc(5)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushgatewayServer]:
    """A Pushgateway, for all tests here."""
    with running_pushgateway(tmp_path_factory.mktemp("pushgateway")) as server:
        yield server


def test_a_service_reports_where_its_deployment_says(server: PushgatewayServer) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TALLYMARK_", "OTEL_"))}
    address = server.url.removeprefix("http://")
    environment["TALLYMARK_REPORT"] = f"pushgateway+http://{address}?job=nightly&grouping.path=/a,b"
    environment["TALLYMARK_TAGS"] = "team=shop"
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=60)
    labels = frozenset({"job": "nightly", "path": "/a,b", "team": "shop", "instance": ""}.items())
    found = server.samples()
    assert found["hits_total", labels] == 5
    assert found["theirs_total", labels] == 4


def test_a_check_reports_once(server: PushgatewayServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tm.Registry(shared=tmp_path / "shared") as registry:
        registry.counter("checked").inc(7)
        backend = f"pushgateway+http://{server.url.removeprefix('http://')}?job=check"
        assert main(["check", str(tmp_path / "shared"), backend]) == 0
        assert "It has arrived." in capsys.readouterr().out
        assert server.samples()["checked_total", frozenset({"job": "check", "instance": ""}.items())] == 7
        server.kill()
        assert main(["check", str(tmp_path / "shared"), backend]) == 1
        assert "the report did not arrive: " in capsys.readouterr().err
