"""`Hosts`: what is rejected is a web page that reads the metrics through a browser (DNS rebinding), and no scrape."""

from __future__ import annotations

import socket

import pytest
from raw_http import Client, ask, get

import tallymark as tm
from tallymark.serve.hosts import Hosts, is_loopback
from tallymark.serve.server import serve

WEB_SITES = [
    "evil.example", "evil.example:9464", "EVIL.Example.:9464", "127.0.0.1.evil.example", "localhost.evil.example",
    "evil.example,a.localhost", "a.localhost,evil.example", "evil.example/.localhost", "[::1].evil.example]x", "a.b:9464:9464",
]  # fmt: skip
SCRAPES = [
    "", "127.0.0.1", "127.0.0.1:9464", "10.1.2.3:80", "[::1]:9464", "[2001:db8::1]", "127.1", "localhost", "LocalHost:9464",
    "localhost.", "app.localhost:1", "prometheus", "web:9464", "web.team.svc.cluster.local:9464", "host.docker.internal:9464",
    "ip-10-0-0-1.eu-west-1.compute.internal", "printer.local",
]  # fmt: skip


@pytest.mark.parametrize("host", WEB_SITES)
def test_a_name_that_a_web_site_can_have_is_rejected_within_the_machine(host: str) -> None:
    assert not Hosts("127.0.0.1").admits(host, within_machine=True)


@pytest.mark.parametrize("host", SCRAPES)
def test_addresses_and_names_of_no_web_site_are_admitted(host: str) -> None:
    assert Hosts("127.0.0.1").admits(host, within_machine=True)


@pytest.mark.parametrize("host", [*WEB_SITES, *SCRAPES])
def test_other_machines_may_use_any_name(host: str) -> None:
    assert Hosts("0.0.0.0").admits(host, within_machine=False)


def test_names_of_this_machine_are_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Node7.example.org")
    hosts = Hosts("metrics.example.org")
    assert hosts.admits("node7.example.org:9464", within_machine=True)
    assert hosts.admits("metrics.example.org:9464", within_machine=True)
    assert not hosts.admits("node8.example.org:9464", within_machine=True)


@pytest.mark.parametrize("within_machine", [True, False])
def test_given_names_are_admitted_and_no_others_from_anywhere(within_machine: bool) -> None:
    hosts = Hosts("0.0.0.0", ["Metrics.example.org", "a.example:443"])
    assert hosts.admits("metrics.example.org:9464", within_machine=within_machine)
    assert hosts.admits("a.example", within_machine=within_machine)
    assert hosts.admits("10.0.0.1", within_machine=within_machine)
    assert not hosts.admits("evil.example", within_machine=within_machine)
    assert not Hosts("0.0.0.0", ()).admits("evil.example", within_machine=within_machine)


def test_a_star_admits_all() -> None:
    assert all(Hosts("127.0.0.1", ["*"]).admits(host, within_machine=True) for host in [*WEB_SITES, *SCRAPES])


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("metrics.example.org", TypeError, r"not a str; for one name, hosts=\('metrics.example.org',\)"),
        ([b"a"], TypeError, "a name in hosts must be a str, not bytes"), (5, TypeError, "hosts must be a collection of names"),
        (["http://a.example/"], ValueError, "'http://a.example/' in hosts is not a name of a host; .*metrics.example.org"),
        ([""], ValueError, "'' in hosts"),
    ],
)  # fmt: skip
def test_bad_names(registry: tm.Registry, names: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        serve(0, registry=registry, hosts=names)  # type: ignore[arg-type]
    assert registry._reporters == []


@pytest.mark.parametrize(
    ("address", "within"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("::2", False)],
)
def test_which_addresses_are_within_the_machine(address: str, within: bool) -> None:
    assert is_loopback(address) is within


# Over HTTP


@pytest.mark.parametrize("path", ["/metrics", "/", "/healthz"])
def test_a_web_page_learns_nothing_and_the_operator_learns_the_remedy(registry: tm.Registry, path: str) -> None:
    registry.counter("secret_signups").inc()
    with serve(0, registry=registry) as server, Client(server) as client:
        response = client.ask(b"GET %b HTTP/1.1\r\nHost: evil.example\r\n\r\n" % path.encode())
        assert response.status == 403
        assert b"hosts=" in response.body
        assert b"evil" not in response.body
        assert b"secret" not in response.body
        assert client.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


def test_the_names_that_serve_is_given_are_admitted(registry: tm.Registry) -> None:
    with serve(0, registry=registry, hosts=["metrics.example.org"]) as server:
        assert ask(server, b"GET /metrics HTTP/1.1\r\nHost: metrics.example.org\r\n\r\n").status == 200
        assert ask(server, b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").status == 403


def test_no_page_is_taken_for_another_type_than_it_says(registry: tm.Registry) -> None:
    with serve(0, registry=registry) as server:
        for path in ("/metrics", "/", "/healthz", "/nowhere"):
            assert get(server, path).fields["x-content-type-options"] == "nosniff"
        assert ask(server, b"nonsense\r\n\r\n").fields["x-content-type-options"] == "nosniff"
