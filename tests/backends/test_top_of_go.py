"""`tallymark top` at a service in Go: Prometheus itself, whose metrics Go's client writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_server import running_prometheus

from tallymark import cli

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_requests_are_told_by_their_labels(prometheus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_prometheus(prometheus, tmp_path, []) as server:
        server.wait(lambda: server.query("vector(1)"), "an answer")
        assert cli.main(["top", server.url.removeprefix("http://"), "--once", "--every", "0.1"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{server.url}/metrics")
    assert re.search(r"^CPU [\d.]+%  memory [\d.]+ MB ", output, re.MULTILINE)
    assert re.search(r"^/api/v1/query +prometheus_http_request_duration_seconds ", output, re.MULTILINE)
    assert re.search(r"^go_gc_duration_seconds +go_gc_duration_seconds ", output, re.MULTILINE)
