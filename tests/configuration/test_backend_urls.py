"""Backends by their URLs: which is meant, with which options; and what is not understood."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

import tallymark as tm
from tallymark import backends
from tallymark.client.deadline import Deadline
from tallymark.configuration.backend_url import backend_of, shown, split_urls
from tallymark.configuration.forms import FORMS, SCHEMES
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError

SECRET = "hunter2"


class Given(Backend):
    """Keeps what it was given."""

    kind = "given"

    def __init__(self, *places: Any, **options: Any) -> None:
        super().__init__()
        self.places = places
        self.options = options

    @property
    def address(self) -> str:
        return str(self.places)

    def encode(self, snapshot: tm.Snapshot, since: float) -> list[bytes]:
        return []

    def send(self, parts: Any, deadline: Any) -> int:
        return 0


@pytest.fixture
def given_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace all backends by one that keeps what it is given."""
    for name in backends.__all__:
        monkeypatch.setitem(vars(backends), name, type(name, (Given,), {"kind": name}))


MEANT: list[tuple[str, str, object, dict[str, Any]]] = [
    ("statsd://127.0.0.1:8125", "StatsD", "udp://127.0.0.1:8125", {}),
    ("StatsD://h", "StatsD", "udp://h", {}),
    ("dogstatsd+udp://h:1", "DogStatsD", "udp://h:1", {}),
    ("statsd+tcp://[::1]:8125?dialect=datadog", "StatsD", "tcp://[::1]:8125", {"dialect": "datadog"}),
    ("statsd+unix:///run/s.sock?datagram_bytes=512", "StatsD", "unix:///run/s.sock", {"datagram_bytes": 512}),
    ("dogstatsd+unixstream:///s", "DogStatsD", "unixstream:///s", {}),
    ("graphite://h:2003?tagged=no", "Graphite", "h:2003", {"tagged": False}),
    ("influxdb+http://u:p@h:8086?database=x", "InfluxDB", "http://u:p@h:8086", {"database": "x"}),
    ("influxdb+https://h/i?org=o&bucket=b&token=t", "InfluxDB", "https://h/i", {"org": "o", "bucket": "b", "token": "t"}),
    ("otlp+http://h:4318?temporality=delta", "OTLP", "http://h:4318", {"temporality": "delta", "protocol": "http/protobuf"}),
    ("otlp+grpcs://h:4317", "OTLP", "https://h:4317", {"protocol": "grpc"}),
    ("otlp+https://h?token=t&header.x-a=1,2", "OTLP", "https://h",
     {"protocol": "http/protobuf", "headers": {"authorization": "Bearer t", "x-a": "1,2"}}),
    ("remote-write+https://h/api/v1/write?query.a=b%26&native_histograms=false", "RemoteWrite",
     "https://h/api/v1/write?a=b%26", {"native_histograms": False}),
    ("remote-write+http://h/w?token=t&header.X-Scope-OrgID=team", "RemoteWrite", "http://h/w",
     {"auth": "t", "headers": {"X-Scope-OrgID": "team"}}),
    ("pushgateway+http://h:9091?job=nightly%20run&grouping=instance=a,zone=b&method=add", "Pushgateway", "http://h:9091",
     {"job": "nightly run", "grouping": {"instance": "a", "zone": "b"}, "method": "add"}),
    ("pushgateway+http://h?job=x&grouping.path=/a,b%26&grouping=zone=b", "Pushgateway", "http://h",
     {"job": "x", "grouping": {"path": "/a,b&", "zone": "b"}}),
    ("textfile:///var/lib/x.prom", "TextFile", "/var/lib/x.prom", {}),
    ("jsonl:///var/log/x", "JSONLines", "/var/log/x", {}),
    ("statsd://h?prefix=shop.&include=a*,b*&exclude=c&tags=a=b,c=d", "StatsD", "udp://h",
     {"prefix": "shop.", "include": ("a*", "b*"), "exclude": ("c",), "tags": {"a": "b", "c": "d"}}),
]  # fmt: skip


@pytest.mark.parametrize(("url", "backend", "place", "options"), MEANT, ids=[one[0].partition("?")[0] for one in MEANT])
@pytest.mark.usefixtures("given_to")
def test_a_url_means_a_backend(url: str, backend: str, place: object, options: dict[str, Any]) -> None:
    asked: Any = backend_of(url)
    assert (asked.backend.kind, asked.backend.places, asked.every) == (backend, (place,), None)
    assert asked.backend.options == {"tags": {}, **options}


@pytest.mark.usefixtures("given_to")
def test_a_dash_is_standard_output_and_a_period_is_not_the_backends() -> None:
    asked: Any = backend_of("jsonl:-?every=0.5", {"host": "h"})
    assert (asked.backend.places, asked.backend.options, asked.every) == ((sys.stdout,), {"tags": {"host": "h"}}, 0.5)


@pytest.mark.usefixtures("given_to")
def test_tags_of_the_url_win() -> None:
    asked: Any = backend_of("statsd://h?tags=a=1", {"a": "0", "b": "2"})
    assert asked.backend.options["tags"] == {"a": "1", "b": "2"}


@pytest.mark.usefixtures("given_to")
def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    asked: Any = backend_of(f"remote-write+http://h?token=@{tmp_path}/token")
    assert asked.backend.options["auth"] == SECRET


def test_the_backends_that_there_are_take_what_they_are_given(tmp_path: Path) -> None:
    for url in (
        "statsd+tcp://127.0.0.1:8125?dialect=datadog&prefix=a.", "dogstatsd://127.0.0.1:8125?datagram_bytes=512",
        "otlp+http://u:p@127.0.0.1:4318?temporality=delta&compression=gzip&header.a=b", "otlp+grpc://127.0.0.1:4317?token=t",
        "remote-write+http://127.0.0.1:9090/api/v1/write?native_histograms=no&token=t&header.X-Scope-OrgID=a&query.a=b",
        f"textfile://{tmp_path}/x.prom?include=a*", f"jsonl://{tmp_path}/x?tags=a=b", "jsonl:-",
    ):  # fmt: skip
        assert isinstance(backend_of(url).backend, Backend)


WRONG = {
    "stasd://h": r"no backend is called 'stasd' \(did you mean statsd\?\); there are statsd, ",
    "": "no backend is called ''",
    "http://h": "no backend is called 'http'.*; there are .*otlp\\+http",
    "influxdb://h": "did you mean influxdb\\+http",
    "statsd://h?prefx=a": r"has no option 'prefx' \(did you mean prefix\?\); there are datagram_bytes, dialect, every",
    "statsd://h?header.a=b": "has no option 'header.a'",
    "pushgateway+http://h:9091": "pushgateway.http://h:9091: needs the option job; it is written as",
    "statsd://h?datagram_bytes=-1": "its option datagram_bytes takes a whole number above 0",
    "statsd://h?every=soon": "its option every takes a number of seconds, 0.01 or more",
    "statsd://h?tags=a": "its option tags takes KEY=VALUE,KEY=VALUE",
    "statsd://h?tags=a b=c": "its option tags takes KEY=VALUE,KEY=VALUE: ",
    "statsd://h?dialect=klingon": "no dialect of StatsD is called 'klingon'",
    "statsd://h?prefix=1": "no metric's name can begin with the prefix '1'",
    "statsd://h:99999": "it is written as statsd://127.0.0.1:8125",
    "statsd:///x": "names no host",
    "otlp+http://h?temporality=sometimes": "temporality must be",
    "remote-write+http://h?token=@/no/such/file": "its option token names a file that cannot be read: No such file",
    "remote-write+http://h?native_histograms=maybe": "its option native_histograms takes true or false",
    "textfile://x.prom": "takes an absolute path, after three slashes",
    "textfile:///x.txt": "must end in '.prom'",
    "jsonl:x": "takes an absolute path",
    "statsd://[": "Invalid IPv6 URL",
    "influxdb+http://h?database=x&query.a=b": r"has no option 'query\.a'; there are bucket, .*, header\.NAME; it is",
    "pushgateway+http://h?job=x&query.a=b": r"has no option 'query\.a'; there are",
    "statsd://h:x": r"'udp://h:x' is not the address of a StatsD server \(.*\); it is written as statsd://127\.0\.0\.1:8125",
    "graphite://h": r"'h' is not the address of a Graphite server; it is written as graphite://127\.0\.0\.1:2003",
    "pushgateway+https://h?job=x&ca=/no/such/file": "No such file or directory: '/no/such/file'",
    f"pushgateway+https://h?job=x&ca={os.devnull}": "/dev/null is no PEM file",
    f"otlp+grpcs://h?ca={os.devnull}": "/dev/null is no PEM file",
    "remote-write+http://h?ca=/x": "its option ca is for TLS: begin the URL with remote-write.https://",
    "statsd://h?ca=/x": "has no option 'ca'",
}


@pytest.mark.parametrize("scheme", ["influxdb+https", "otlp+https", "otlp+grpcs", "pushgateway+https", "remote-write+https"])
def test_who_issued_a_certificate_may_be_named(scheme: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.set_alpn_protocols(["h2"])  # which gRPC asks for
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    with socket.create_server(("127.0.0.1", 0)) as server:
        options = {"influxdb": "&database=x", "pushgateway": "&job=x"}.get(scheme.partition("+")[0], "")
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/x?ca={tmp_path}/ca{options}"
        backend = backend_of(url.replace("/x?", "?") if "grpc" in scheme else url, environ={}).backend
        registry = tm.Registry()
        registry.counter("a").inc()
        parts = list(backend.encode(registry.snapshot(), 0.0))

        def attempt() -> None:
            with suppress(SendError):
                backend.send(parts, Deadline(10.0, time.monotonic))
            backend.close()

        thread = threading.Thread(target=attempt)
        thread.start()
        server.settimeout(10.0)
        with serving.wrap_socket(server.accept()[0], server_side=True) as shaken:  # else the client has rejected us
            assert shaken.recv(1)
        thread.join()


@pytest.mark.parametrize("url", WRONG)
def test_what_is_not_understood_is_named_with_what_is_allowed(url: str) -> None:
    with pytest.raises(tm.ConfigurationError, match=WRONG[url]) as caught:
        backend_of(url)
    assert "\n" not in str(caught.value)
    assert "write it as" not in str(caught.value), "that would be another form"


@pytest.mark.parametrize(
    "url",
    [
        f"remote-write+http://user:{SECRET}@h:bad", f"remote-write+http://user:{SECRET}@h?tokn={SECRET}",
        f"remote-write+http://h?{SECRET}", f"otlp+http://user:{SECRET}@h:4318/x?temporality=x&token={SECRET}",
        f"statsd://user:{SECRET}@h", f"remote-write+http://h?token=@{SECRET}", f"remote-write+http://u:{SECRET}@h?header.a b=c",
        f"remote-write+http://u:{SECRET}@h?token={SECRET}", f"graphite://u:{SECRET}@h:x", f"//{SECRET}", f"x:{SECRET}@h",
        f"remote-write+http://h?token={SECRET}%0A", f"otlp+http://h?header.a={SECRET}%0A",
    ],
)  # fmt: skip
def test_no_message_shows_a_secret(url: str) -> None:
    with pytest.raises((tm.ConfigurationError, ImportError)) as caught:
        backend_of(url)
    assert SECRET not in str(caught.value).replace(f"has no option '{SECRET}'", "")
    assert SECRET not in shown(url)


def test_urls_are_between_commas_and_spaces() -> None:
    text = " statsd://h?include=a,b&tags=a=b,c=d, otlp+http://h\n jsonl:-,,textfile:///x.prom, stasd://h ,"
    assert split_urls(text) == [
        "statsd://h?include=a,b&tags=a=b,c=d", "otlp+http://h", "jsonl:-", "textfile:///x.prom", "stasd://h"
    ]  # fmt: skip


@given(st.text() | st.sampled_from(sorted(SCHEMES)).flatmap(lambda scheme: st.text().map(lambda rest: f"{scheme}:{rest}")))
def test_any_text_is_a_backend_or_one_error(text: str) -> None:
    told = ""
    try:
        assert isinstance(backend_of(text).backend, Backend)
    except (ImportError, tm.ConfigurationError) as error:
        told = str(error)
    assert told.isprintable()


def test_each_form_has_an_example_that_it_reads() -> None:
    for form in FORMS.values():
        for url in form.example.split(", "):
            with suppress(ImportError):  # a backend whose extra is not installed
                assert type(backend_of(url).backend).__name__ == form.backend
