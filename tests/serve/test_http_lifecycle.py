"""The metrics endpoint: how it starts, what it raises, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading

import pytest
from raw_http import PATIENCE, Client, get, parse

import tallymark as tm
from tallymark.serve.limits import Limits
from tallymark.serve.server import Server, serve

# Life


def test_the_handle_has_its_address(registry: tm.Registry) -> None:
    with serve(0, registry=registry) as server:
        assert server.host == "127.0.0.1"
        assert server.url == f"http://127.0.0.1:{server.port}/metrics"
        assert server.url in repr(server)
    with serve(0, "0.0.0.0", registry) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/metrics"
        assert get(server).status == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(registry: tm.Registry) -> None:
    try:
        server = serve(0, "::1", registry)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        assert server.url == f"http://[::1]:{server.port}/metrics"
        with socket.create_connection(("::1", server.port), timeout=PATIENCE) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_current_registry_is_the_default(registry: tm.Registry) -> None:
    registry.counter("mine").inc()
    with tm.use(registry):
        server = serve(0)
    with server:
        assert parse(get(server).body)["mine_total"] == 1


def test_close_ends_the_thread_and_frees_the_port(registry: tm.Registry) -> None:
    server = serve(0, registry=registry)
    with Client(server) as idle:
        idle.ask(b"GET / HTTP/1.1\r\n\r\n")
        server.close()
        assert idle.is_closed()
    assert not server._background._thread.is_alive()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        Client(server)
    serve(server.port, registry=registry).close()


def test_closing_right_after_opening(registry: tm.Registry) -> None:
    for _ in range(20):
        server = serve(0, registry=registry)
        clients = [Client(server) for _ in range(3)]
        server.close()
        for client in clients:
            client.close()


def test_closing_the_registry_closes_the_server(registry: tm.Registry) -> None:
    server = serve(0, registry=registry)
    registry.close()
    with pytest.raises(ConnectionRefusedError):
        Client(server)


def test_a_closed_server_is_forgotten_by_the_registry(registry: tm.Registry) -> None:
    with serve(0, registry=registry):
        assert len(registry._reporters) == 1
    assert registry._reporters == []


def test_a_callback_may_close_the_registry_that_it_is_read_from(registry: tm.Registry) -> None:
    def callback() -> float:
        registry.close()
        return 1

    registry.gauge("suicidal", callback=callback)
    server = serve(0, registry=registry)
    with Client(server) as client:
        client.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert client.read().status == 200
        assert client.is_closed()
    server.close()


def test_a_callback_that_hangs_does_not_hang_close(registry: tm.Registry, caplog: pytest.LogCaptureFixture) -> None:
    asked, answer = threading.Event(), threading.Event()

    def callback() -> float:
        asked.set()
        answer.wait(PATIENCE)
        return 1

    registry.gauge("slow", callback=callback)
    server = Server(0, "127.0.0.1", registry, Limits(close=0.05))
    with Client(server) as client:
        client.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert asked.wait(PATIENCE)
        server.close()
        assert "still rendering" in caplog.text
        answer.set()
        assert client.read().status == 200  # what was being rendered is still sent
        server._background._thread.join(PATIENCE)
        assert not server._background._thread.is_alive()


def test_the_applications_event_loop_goes_on_while_a_scrape_is_rendered(registry: tm.Registry) -> None:
    asked, answer = threading.Event(), threading.Event()

    def callback() -> float:
        asked.set()
        return float(answer.wait(PATIENCE))

    async def application() -> float:
        with serve(0, registry=registry) as server:
            scrape = asyncio.create_task(asyncio.to_thread(get, server))
            while not asked.is_set():
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)
            answer.set()
            return parse((await scrape).body)["slow"]

    registry.gauge("slow", callback=callback)
    assert asyncio.run(asyncio.wait_for(application(), PATIENCE)) == 1


# Errors


def test_a_port_in_use_names_the_remedy(registry: tm.Registry) -> None:
    with serve(0, registry=registry) as server:
        with pytest.raises(OSError, match=rf"127\.0\.0\.1.*{server.port}.*in use.*another port.*port=0") as caught:
            serve(server.port, registry=registry)
        assert caught.value.errno is not None
        assert get(server).status == 200
    assert registry._reporters == []


@pytest.mark.parametrize("host", ["host.invalid", "192.0.2.1"])
def test_an_address_that_cannot_be_had(host: str) -> None:
    with pytest.raises(OSError, match=f"host '{host}', port 9464"):
        serve(host=host)


def test_an_address_of_another_machine_names_the_remedy() -> None:
    with pytest.raises(OSError, match=r"no such address: host=\"0\.0\.0\.0\""):
        serve(host="192.0.2.1")


def test_a_wrong_type_is_told_in_english() -> None:
    with pytest.raises(TypeError, match="port must be an int, not str"):
        serve(port="9464")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"port": "9464"}, TypeError), ({"port": True}, TypeError), ({"port": 1.0}, TypeError), ({"port": None}, TypeError),
        ({"host": b"::1"}, TypeError),
        ({"host": None}, TypeError), ({"registry": "default"}, TypeError), ({"port": -1}, ValueError),
        ({"port": 65536}, ValueError), ({"host": ""}, ValueError), ({"host": "a" * 100}, ValueError),
    ],
)  # fmt: skip
def test_bad_arguments(arguments: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        serve(**arguments)  # type: ignore[arg-type]


def test_a_truth_value_as_port_is_told_apart_from_port_1() -> None:
    with pytest.raises(TypeError, match=r"port must be a number, not True; .*serve\(0\) a free one"):
        serve(True)


# The process


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which every warning is an error."""
    return subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=PATIENCE)


def test_importing_costs_no_asyncio() -> None:
    script = "import tallymark.serve.server, sys; print({'asyncio', 'socket', 'gzip', 'email'} & set(sys.modules))"
    assert run(script).stdout == "set()\n"


@pytest.mark.parametrize("ending", ["", "server.close()", "del server", "sys.exit(0)", "tm.registry().close()"])
def test_the_interpreter_exits_at_once_and_in_silence(ending: str) -> None:
    script = f"""
import socket, sys, tallymark as tm
from tallymark.serve.server import serve
server = serve(0)
client = socket.create_connection((server.host, server.port))
client.sendall(b"GET /metrics HTTP/1.1\\r\\n\\r\\n")
print(client.recv(15))
client.close()
{ending}
"""
    result = run(script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "b'HTTP/1.1 200 OK'\n", "")


def test_a_thread_that_cannot_be_started_leaves_nothing_behind() -> None:
    script = """
import threading, tallymark as tm
def start(self): raise RuntimeError("can't start new thread")
started, threading.Thread.start = threading.Thread.start, start
try: tm.serve(0)
except RuntimeError as error: print(error)
threading.Thread.start = started
assert tm.registry()._reporters == []
tm.serve(0)
"""
    result = run(script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "can't start new thread\n", "")


@pytest.mark.slow
def test_running_out_of_descriptors_is_logged_once_and_gets_over() -> None:
    script = """
import contextlib, resource, socket, time, tallymark as tm
from tallymark.serve.server import serve
server = serve(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
    while True:
        stack.enter_context(socket.create_connection((server.host, server.port)))
with socket.create_connection((server.host, server.port), timeout=15) as client:
    client.sendall(b"GET /metrics HTTP/1.1\\r\\n\\r\\n")
    print(client.recv(15))
"""
    result = run(script)
    assert (result.returncode, result.stdout) == (0, "b'HTTP/1.1 200 OK'\n"), result.stderr
    assert result.stderr.count("\n") == result.stderr.count("no connection can be accepted") <= 1
