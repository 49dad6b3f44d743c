"""The metrics endpoint and `os.fork`: the parent goes on serving, and the child serves nothing."""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable

import pytest
from raw_http import PATIENCE, Client, get

import tallymark as tm
from tallymark.serve.server import serve

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    # Python 3.12 and later warn of what these tests are about.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked child, and return the child's exit status; -1 if it hangs."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -1


def test_the_child_closes_its_handle_at_once_and_the_parent_goes_on(registry: tm.Registry, tls: tm.TLS | None) -> None:
    with serve(0, registry=registry, tls=tls) as server, Client(server) as kept:
        assert kept.ask(b"GET /metrics HTTP/1.1\r\n\r\n").status == 200

        def work() -> None:
            server.close()
            server.close()
            registry.close()

        assert in_child(work) == 0
        assert kept.ask(b"GET /metrics HTTP/1.1\r\n\r\n").status == 200
        assert get(server).status == 200


def test_the_child_may_serve_metrics_of_its_own(registry: tm.Registry, tls: tm.TLS | None) -> None:
    counter = registry.counter("forked")
    with serve(0, registry=registry, tls=tls) as server:

        def work() -> None:
            counter.inc()
            with serve(0, registry=registry, tls=tls) as own:
                assert own.port != server.port
                assert b"forked_total 1" in get(own).body

        assert in_child(work) == 0
        assert b"forked_total 0" in get(server).body


def test_a_living_child_holds_neither_the_port_nor_the_connections(registry: tm.Registry, tls: tm.TLS | None) -> None:
    server = serve(0, registry=registry, tls=tls)
    release, hold = os.pipe()
    with Client(server) as kept:
        assert kept.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200
        child = os.fork()
        if child == 0:
            os.close(hold)
            os.read(release, 1)
            os._exit(0)
        try:
            server.close()
            assert kept.is_closed()
            with pytest.raises(ConnectionRefusedError):
                Client(server)
            serve(server.port, registry=registry).close()
        finally:
            os.close(release)
            os.close(hold)
            os.waitpid(child, 0)


@pytest.mark.slow
def test_the_child_is_left_without_warnings(registry: tm.Registry, tls: tm.TLS | None) -> None:
    server = [serve(0, registry=registry, tls=tls)]
    client = Client(server[0])
    assert client.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200

    def work() -> None:
        unraisable: list[object] = []
        sys.unraisablehook = unraisable.append
        warnings.simplefilter("error")
        server.pop().close()
        gc.collect()
        assert unraisable == []

    assert in_child(work) == 0
    assert get(server[0], "/healthz").status == 200
    client.close()
    server[0].close()
