"""`tallymark check`: what a backend would get, what it changes of it, and whether it can be reached."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import nan
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.check.changes import changes
from tallymark.check.check import Check, made_from
from tallymark.check.errors import CheckError
from tallymark.check.formats import lines_of
from tallymark.cli import main
from tallymark.report.backend import Backend
from tallymark.report.errors import TooLargeError

SECRET = "hunter2"


@pytest.fixture
def registry(engine: Any) -> Iterator[tm.Registry]:
    """A registry that has all kinds of metrics."""
    with tm.Registry(engine=engine.name, self_metrics=False) as registry:
        registry.counter("http.requests", description="Served.").inc(3, method="GET")
        registry.gauge("depth", unit="bytes").set(nan)
        registry.timer("took", buckets=[0.1, 1]).record(0.3)
        registry.histogram("shape", exponential=True).observe(5)
        registry.info("build", version="1 2")
        registry.state("worker", ["on", "off"]).set("on")
        yield registry


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent, and answers with a status."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.received: list[tuple[str, bytes]] = []


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"no no\n")

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *about: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def told(registry: tm.Registry, url: str) -> dict[str, list[str]]:
    """Return what is changed, by metric."""
    found: dict[str, list[str]] = {}
    for metric, what, how in changes(registry.snapshot(), made_from(url)()):
        found.setdefault(metric, []).append(f"{what}: {how}")
    return found


# What it changes


NOT_ALLOWED = "name: characters of its name or tags are not allowed there: replaced"


def test_what_statsd_changes(registry: tm.Registry) -> None:
    assert told(registry, "dogstatsd://h?prefix=shop.") == {
        "depth": ["all: none of its values can be told"],
        "build_info": ["type: info is sent as gauge", NOT_ALLOWED],
        "worker": ["type: stateset is sent as gauge"],
        "shape": ["type: exponential histogram is sent as histogram"],
        "took": ["unit: seconds: not told there"],
    }
    plain = told(registry, "statsd://h")
    assert plain["http.requests"] == ["name: is sent as http.requests.method.GET"]
    assert plain["took"] == ["unit: seconds are sent as ms"]


def test_what_otlp_changes(registry: tm.Registry) -> None:
    assert told(registry, "otlp+http://h") == {}


def test_what_prometheus_changes(registry: tm.Registry) -> None:
    expected = {
        "http.requests": ["name: is sent as http_requests_total"],
        "depth": ["name: is sent as depth_bytes"],
        "took": ["name: is sent as took_seconds"],
        "build_info": ["type: info is sent as gauge"],
        "worker": ["type: stateset is sent as gauge"],
    }
    shape = {"shape": ["type: exponential histogram is sent as histogram"]}
    assert told(registry, "textfile:///x.prom") == expected | shape
    assert told(registry, "remote-write+http://h/w?native_histograms=no") == expected | shape
    assert told(registry, "remote-write+http://h/w") == expected, "it takes native histograms"
    assert told(registry, "pushgateway+http://h?job=x") == expected


def test_a_pushgateway_that_gets_text_gets_classic_buckets(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallymark.export.protobuf.available", lambda: False)
    found = told(registry, "pushgateway+http://h?job=x")
    assert found["shape"] == ["type: exponential histogram is sent as histogram"]
    assert found["http.requests"] == ["name: is sent as http_requests_total"]


def test_what_influxdb_changes(registry: tm.Registry) -> None:
    registry.counter("orders").inc(city=r"New York, a=1 2", path="C:\\x ")
    assert told(registry, "influxdb+http://h?database=x") == {
        "depth": ["all: none of its values can be told"],
        "took": ["unit: seconds: not told there"],
        "shape": ["type: exponential histogram is sent as histogram"],
        "build_info": ["type: info is sent as gauge"],
        "worker": ["type: stateset is sent as gauge"],
    }


def test_what_graphite_changes(registry: tm.Registry) -> None:
    found = told(registry, "graphite://h:2003")
    assert found["depth"] == ["all: none of its values can be told"]
    assert found["took"] == [
        "name: is sent as took.count, took.sum, took.min and 4 more", "type: histogram: not told there",
        "unit: seconds: not told there",
    ]  # fmt: skip
    assert found["http.requests"] == ["type: counter: not told there"]


def test_what_json_lines_change(registry: tm.Registry) -> None:
    found = told(registry, "jsonl:-")
    assert found.pop("depth") == ["value: some values cannot be told: left out, or told as none"]
    assert found == {}


def test_what_is_left_out_is_not_changed(registry: tm.Registry) -> None:
    check = Check(registry.snapshot(), made_from("textfile:///x.prom?include=depth"))
    assert [one.metric for one in check.changes] == ["depth"]
    assert [one.name for one in check.told.families] == ["depth"]


def test_each_backend_has_lines_that_name_its_metrics(registry: tm.Registry) -> None:
    for url in (
        "statsd://h", "dogstatsd://h", "statsd://h?dialect=influxdb", "statsd://h?dialect=graphite", "graphite://h:2003",
        "jsonl:-", "textfile:///x.prom", "otlp+http://h", "remote-write+http://h/w", "pushgateway+http://h?job=x",
    ):  # fmt: skip
        lines = Check(registry.snapshot(), made_from(url)).lines
        names = {line.name for line in lines if line.name}
        assert any(name.startswith("took") for name in names), url
        assert any("GET" in line.text or "data point" in line.text or "series" in line.text for line in lines), url


class Odd(Backend):
    """A backend that nobody knows, which takes little at once."""

    kind = "odd"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[list[bytes]] = []

    @property
    def address(self) -> str:
        return "nowhere"

    def encode(self, snapshot: tm.Snapshot, since: float) -> list[bytes]:
        return [family.name.encode() for family in snapshot.families]

    def send(self, parts: Any, deadline: Any) -> int:
        if len(parts) > 2:
            raise TooLargeError("too much")
        self.taken.append(list(parts))
        return len(parts)


def test_a_backend_that_nobody_knows_is_shown_as_it_is_and_sent_in_halves(registry: tm.Registry) -> None:
    odd = Odd()
    assert lines_of(odd, [b"\0"])[0].text == r"b'\x00'"
    sent = Check(registry.snapshot(), lambda: odd).send(5.0)
    assert (sent.bytes, sent.requests) == (6, len(odd.taken))
    assert [part for parts in odd.taken for part in parts][:2] == [b"http.requests", b"depth"]


# The command


@pytest.fixture
def endpoint(registry: tm.Registry) -> Iterator[str]:
    with tm.serve(0, registry=registry) as server:
        yield server.url


def test_one_report_is_sent_over_http(endpoint: str, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"otlp+http://127.0.0.1:{receiver.server_port}?token={SECRET}"
    assert main(["check", endpoint, url, "--lines", "2"]) == 0
    out, errors = capsys.readouterr()
    assert errors == ""
    assert SECRET not in out
    place = f"otlp http://127.0.0.1:{receiver.server_port}/v1/metrics"
    assert out.startswith(
        f"{endpoint}: 6 metrics, 7 series\n{place}\n  is told totals; each report arrives once or more often\n"
    )
    assert "  http_requests_total (counter): 1 data point\n" in out
    assert "  and 4 more lines\n" in out
    assert "It changes nothing.\n" in out
    [(path, body)] = receiver.received
    assert path == "/v1/metrics"
    assert out.endswith(f"Sent {len(body):,} bytes in 1 request. It has arrived.\n")
    assert max(map(len, out.splitlines())) <= 80


def test_a_report_that_does_not_arrive_is_status_1_in_the_words_of_the_backend(
    endpoint: str, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.status = 401
    assert main(["check", endpoint, f"remote-write+http://me:{SECRET}@127.0.0.1:{receiver.server_port}/w"]) == 1
    out, errors = capsys.readouterr()
    assert "Sent" not in out
    assert errors.startswith("tallymark: the report did not arrive: ")
    assert "401" in errors
    assert "no no" in errors
    assert SECRET not in out + errors


def test_a_dry_run_sends_nothing(endpoint: str, receiver: Receiver, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for url in (f"otlp+http://127.0.0.1:{receiver.server_port}", f"textfile://{tmp_path}/x.prom", "statsd://127.0.0.1:9"):
        assert main(["check", endpoint, url, "--dry-run"]) == 0
        assert capsys.readouterr().out.endswith("Nothing was sent.\n")
    assert receiver.received == []
    assert list(tmp_path.iterdir()) == []


def test_totals_are_not_counted_once_more(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        assert main(["check", endpoint, f"dogstatsd://127.0.0.1:{sock.getsockname()[1]}"]) == 0
        received = sock.recv(65536).decode()
        assert main(["check", endpoint, f"dogstatsd://127.0.0.1:{sock.getsockname()[1]}?include=http*"]) == 0
        proof = sock.recv(65536).decode()
    assert "http_requests_total" not in received
    assert "worker:1|g|#state:on" in received
    assert proof.strip() == "tallymark_check:1|g"
    out = capsys.readouterr().out
    assert "  http_requests_total:3|c|#method:GET\n" in out
    assert "Nobody answers there: see whether it arrived." in out
    assert "5 metrics left out, as its options ask for" in out


def test_a_shared_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tm.Registry(shared=tmp_path / "shared") as registry:
        registry.counter("http.requests").inc(5)
        assert main(["check", str(tmp_path / "shared"), f"textfile://{tmp_path}/x.prom", "--lines", "0"]) == 0
    out = capsys.readouterr().out
    assert "What it gets" not in out
    assert "  http.requests\n    name  is sent as http_requests_total\n" in out
    assert "http_requests_total 5.0" in (tmp_path / "x.prom").read_text()


def test_lines_are_whole_where_they_are_piped_and_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tm.Registry(self_metrics=False) as registry:
        registry.counter("x").inc(1, a="long" * 40, b="\x1b[31m")
        with tm.serve(0, registry=registry) as server:
            assert main(["check", server.url, "jsonl:-", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "long" * 40 in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("source", "backend", "words"),
    [
        ("127.0.0.1:9", "statsd://h", "nobody listens there"),
        ("/no/such/file", "statsd://h", "no such file"),
        ("127.0.0.1:9", "stasd://h", "did you mean statsd?"),
        ("127.0.0.1:9", f"remote-write+http://h?tokn={SECRET}", "did you mean token?"),
    ],
)
def test_what_cannot_be_used_is_status_1(source: str, backend: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", source, backend]) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert words in errors
    assert SECRET not in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["x"], ["x", "y", "--lines", "-1"], ["x", "y", "--lines", "many"]])
def test_a_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", *arguments])
    assert caught.value.code == 2


def test_a_backend_whose_extra_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tallymark import backends

    class Missing:
        def __init__(self, *places: Any, **options: Any) -> None:
            raise ImportError("pip install 'tallymark[x]'")

    monkeypatch.setitem(vars(backends), "OTLP", Missing)
    with pytest.raises(CheckError, match=r"pip install 'tallymark\[x\]'"):
        made_from("otlp+http://h")


def test_a_source_without_metrics_is_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tm.serve(0, registry=tm.Registry()) as server:
        assert main(["check", server.url, f"jsonl://{tmp_path}/x"]) == 0
    assert "It gets nothing." in capsys.readouterr().out


def test_json_lines_can_be_read_again(endpoint: str, tmp_path: Path) -> None:
    assert main(["check", endpoint, f"jsonl://{tmp_path}/x"]) == 0
    lines = (tmp_path / "x").read_text().splitlines()
    assert {json.loads(line)["metric"] for line in lines} >= {"http_requests_total", "worker"}
