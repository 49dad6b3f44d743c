"""`StatsD` and `DogStatsD`: addresses, and what happens on sockets that are full, gone, or come back."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from delta_reports import DeltaReports

import tallymark as tm
from tallymark.backends import DogStatsD, StatsD, transports
from tallymark.client.deadline import Deadline
from tallymark.report.errors import SendError


def deadline(seconds: float = 10.0) -> Deadline:
    return Deadline(seconds, time.monotonic)


@contextmanager
def listening(family: int, kind: int, where: Any) -> Iterator[socket.socket]:
    with socket.socket(family, kind) as sock:
        sock.settimeout(10)
        sock.bind(where)
        if kind == socket.SOCK_STREAM:
            sock.listen()
        yield sock


def udp() -> Any:
    return listening(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))


def unix(path: Path, kind: int = socket.SOCK_DGRAM) -> Any:
    return listening(socket.AF_UNIX, kind, str(path))


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


def received(server: socket.socket) -> bytes:
    """Return all that one client sends in a stream."""
    client, _ = server.accept()
    with client:
        client.settimeout(10)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.fixture
def registry() -> tm.Registry:
    registry = tm.Registry(self_metrics=False)
    registry.counter("hits").inc(5, method="GET")
    return registry


# Addresses and arguments


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8125", "udp://127.0.0.1:8125"), ("statsd.example", "udp://statsd.example:8125"), (":9125", "udp://127.0.0.1:9125"),
        ("[::1]:8125", "udp://[::1]:8125"), ("[::1]", "udp://[::1]:8125"), ("udp://h:1", "udp://h:1"), ("tcp://h:1", "tcp://h:1"),
        ("tcp://[fe80::1]", "tcp://[fe80::1]:8125"), ("udp://h:1/", "udp://h:1"),
        ("unix:///var/run/dsd.socket", "unixgram:///var/run/dsd.socket"), ("unixgram:///a", "unixgram:///a"),
        ("unixstream:///a b?c#d", "unixstream:///a b?c#d"),
    ],
)  # fmt: skip
def test_an_address_is_what_people_write(text: str, address: str) -> None:
    assert StatsD(text).address == address
    assert DogStatsD(text).address == address


@pytest.mark.parametrize(
    "text",
    [
        "", "http://h:8125", "h:port", "h:99999", "h:0", "udp://h:1/path", "udp://h:1?a=b", "/var/run/dsd.socket",
        "unix://host/path", "unix://", "unix:///", "unix://relative", "udp://", "h h:1", "h\n:1", "udp://user@h:1", "statsd://h:1",
        "8125", "unix:///a\0", f"unix:///{'a' * 120}", "unixstream:////\ud800\n",
    ],
)  # fmt: skip
def test_what_is_no_address_is_told_at_once_and_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not the address of a StatsD server.*: write it as HOST:PORT, udp://HOST:PORT"):
        StatsD(text)


def test_an_error_does_not_tell_a_password() -> None:
    for text in ("udp://user:secret@h:1", "http://user:secret@h:1", "udp://user:secret@h:x", "user:secret@h:1"):
        with pytest.raises(ValueError) as error:
            StatsD(text)
        assert "secret" not in str(error.value)
        assert len(str(error.value).splitlines()) == 1


def test_arguments_that_are_wrong_are_told_at_once() -> None:
    with pytest.raises(
        ValueError, match=r"no dialect of StatsD is called 'dogstatsd'; there are 'datadog', 'graphite', 'influxdb', 'none'"
    ):
        StatsD(dialect="dogstatsd")
    for size in (63, 65508, 0, -1):
        with pytest.raises(ValueError, match="datagram_bytes must be within 64 and 65507"):
            StatsD(datagram_bytes=size)
    with pytest.raises(TypeError, match="datagram_bytes must be an int"):
        DogStatsD(datagram_bytes="1432")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="address must be a str"):
        StatsD(8125)  # type: ignore[arg-type]


def test_they_tell_what_was_added_and_nobody_answers() -> None:
    for backend, kind in ((StatsD(), "statsd"), (DogStatsD(), "dogstatsd")):
        assert (backend.kind, backend.at_least_once, backend.temporality) == (kind, False, "delta")
        assert repr(backend) == f"<{type(backend).__name__} udp://127.0.0.1:8125>"


# What arrives


def test_each_part_is_a_datagram(registry: tm.Registry) -> None:
    with udp() as server:
        reports = DeltaReports(registry, StatsD(f"127.0.0.1:{port_of(server)}", datagram_bytes=64, prefix="svc_"))
        assert reports.report() == len(b"svc_hits.method.GET:5|c")
        assert server.recv(99) == b"svc_hits.method.GET:5|c"
        assert reports.report() == 0  # nothing was added
        for i in range(9):
            registry.counter("hits").inc(i + 1, method=f"m{i}")
        reports.report()
        some = [server.recv(99) for _ in range(5)]
    assert [line for part in some for line in part.split(b"\n")] == [b"svc_hits.method.m%d:%d|c" % (i, i + 1) for i in range(9)]
    assert max(map(len, some)) <= 64


@pytest.mark.parametrize(("scheme", "size"), [("udp", 1432), ("tcp", 8192), ("unix", 8192), ("unixstream", 8192)])
def test_datagrams_have_the_size_that_their_way_takes(registry: tm.Registry, scheme: str, size: int) -> None:
    for i in range(900):
        registry.counter("hits").inc(1, user=i)
    address = f"{scheme}:///s" if scheme.startswith("unix") else f"{scheme}://h:1"
    largest = max([len(part) for part in StatsD(address).encode(registry.snapshot(), 0.0)])
    assert size - 30 < largest <= size


def test_over_ipv6(registry: tm.Registry) -> None:
    try:
        with listening(socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 0)) as server:
            DeltaReports(registry, StatsD(f"[::1]:{port_of(server)}")).report()
            assert server.recv(99) == b"hits.method.GET:5|c"
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise
        pytest.skip("there is no IPv6 here")


def test_a_host_with_addresses_of_both_kinds_is_asked_over_ipv4_first(
    registry: tm.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with udp() as server:
        found = [
            (socket.AF_INET6, 2, 17, "", ("::1", port_of(server), 0, 0)),
            (socket.AF_INET, 2, 17, "", server.getsockname()),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: list(found))
        DeltaReports(registry, StatsD("statsd.example")).report()
        assert server.recv(99) == b"hits.method.GET:5|c"


@pytest.mark.parametrize("scheme", ["tcp", "unixstream"])
def test_in_a_stream_each_line_ends(registry: tm.Registry, scheme: str, tmp_path: Path) -> None:
    registry.gauge("depth").set(-1)
    with ExitStack() as stack:
        if scheme == "tcp":
            server = stack.enter_context(listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)))
            address = f"tcp://127.0.0.1:{port_of(server)}"
        else:
            server = stack.enter_context(unix(tmp_path / "s", socket.SOCK_STREAM))
            address = f"unixstream://{tmp_path}/s"
        reports = DeltaReports(registry, StatsD(address, datagram_bytes=64))
        assert reports.report() == 41
        assert received(server) == b"hits.method.GET:5|c\ndepth:0|g\ndepth:-1|g\n"
        registry.counter("hits").inc(1, method="é")
        reports.report()
        assert received(server) == b"hits.method._:1|c\ndepth:0|g\ndepth:-1|g\n"


def test_datadogs_streams_have_lengths(registry: tm.Registry, tmp_path: Path) -> None:
    with unix(tmp_path / "s", socket.SOCK_STREAM) as server:
        reports = DeltaReports(registry, DogStatsD(f"unixstream://{tmp_path}/s", datagram_bytes=64))
        for i in range(9):
            registry.counter("hits").inc(i + 1, method=f"é{i}")
        sent = reports.report()
        data, lines = received(server), []
        assert len(data) == sent
        while data:
            [length] = struct.unpack_from("<I", data)
            assert length <= 64
            lines += data[4 : 4 + length].decode().split("\n")
            data = data[4 + length :]
        assert lines == ["hits:5|c|#method:GET", *[f"hits:{i + 1}|c|#method:é{i}" for i in range(9)]]
        DeltaReports(registry, StatsD(f"unixstream://{tmp_path}/s", dialect="datadog")).report()
        assert received(server).startswith(b"hits:5|c|#method:GET\nhits:1|c|#method:_0\n")


# Sockets that are gone, full, or others


def test_nobody_listens(registry: tm.Registry, tmp_path: Path) -> None:
    with udp() as server:
        port = port_of(server)
    with unix(tmp_path / "s"):
        pass
    for address in (f"127.0.0.1:{port}", f"tcp://127.0.0.1:{port}", f"unix://{tmp_path}/s", f"unixstream://{tmp_path}/s"):
        with pytest.raises(SendError, match=r"^\w+://.* cannot be reached: nobody listens there; is the server running"):
            DeltaReports(registry, StatsD(address)).report()
    with pytest.raises(SendError, match=r"there is no such socket; is the server running, and is its folder mounted here\?"):
        DeltaReports(registry, DogStatsD(f"unix://{tmp_path}/none")).report()


def test_a_socket_that_comes_back_gets_what_was_added_since(registry: tm.Registry, tmp_path: Path) -> None:
    reports = DeltaReports(registry, DogStatsD(f"unix://{tmp_path}/s"))
    with unix(tmp_path / "s") as server:
        reports.report()
        assert server.recv(99) == b"hits:5|c|#method:GET"
    registry.counter("hits").inc(7, method="GET")
    with pytest.raises(SendError):
        reports.report()
    (tmp_path / "s").unlink()
    registry.counter("hits").inc(11, method="GET")
    with unix(tmp_path / "s") as server:
        reports.report()
        assert server.recv(99) == b"hits:11|c|#method:GET"


def test_a_name_without_an_address_is_asked_for_again(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with udp() as server:
        reports = DeltaReports(registry, StatsD(f"statsd.example:{port_of(server)}"))
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(SendError, match=r"its host has no address \(Name or service not known\)"):
            reports.report()
        where = [(socket.AF_INET, 2, 17, "", server.getsockname())]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: where)
        registry.counter("hits").inc(1, method="GET")
        reports.report()
        assert server.recv(99) == b"hits.method.GET:1|c"


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_name_that_is_looked_up_for_long_does_not_exceed_the_deadline(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    may = threading.Event()

    def wait(*args: Any, **options: Any) -> list[Any]:
        may.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    with pytest.raises(SendError, match=r"its host has no address \(the lookup takes too long\)"):
        StatsD(f"{scheme}://slow.example").send([b"a:1|c"], deadline(0.1))
    may.set()


def test_a_name_that_no_host_can_have_is_an_error_as_any_other() -> None:
    with pytest.raises(SendError, match="cannot be reached") as error:
        StatsD(f"{'a' * 64}.example").send([b"a:1|c"], deadline())
    assert error.value.again


@contextmanager
def deaf() -> Iterator[Any]:
    """The address of a server that does not answer who connects: Linux answers no more than fit."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()


def test_a_deadline_may_be_moved_while_nobody_answers() -> None:
    """As by who closes a reporter."""
    until = deadline(20)
    with deaf() as (_, port):
        timer = threading.Timer(0.1, until.cut, (0.1,))
        timer.start()
        start = time.monotonic()
        with pytest.raises(SendError, match="it does not answer; is a firewall in the way"):
            StatsD(f"tcp://127.0.0.1:{port}").send([b"a:1|c\n"], until)
        assert time.monotonic() - start < 10
        timer.join()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf() as nobody, socket.create_server(("127.0.0.1", 0)) as server:
        found = [(socket.AF_INET, 1, 6, "", one) for one in (nobody, server.getsockname())]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: list(found))
        StatsD("tcp://two.example").send([b"a:1|c\n"], deadline(0.6))
        assert received(server) == b"a:1|c\n"


def test_a_socket_of_another_kind_is_named(registry: tm.Registry, tmp_path: Path) -> None:
    with (
        unix(tmp_path / "s", socket.SOCK_STREAM),
        pytest.raises(SendError, match="is another kind of socket: use unixstream://"),
    ):
        DeltaReports(registry, DogStatsD(f"unix://{tmp_path}/s")).report()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "this process may not write to it"),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), "it does not answer; is a firewall in the way"),
        (OSError(errno.ENOTCONN, "Transport endpoint is not connected"), "closed the connection; has the server ended"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "cannot be reached: Network is unreachable"),
    ],
    ids=["permission", "timeout", "closed", "network"],
)
def test_other_errors_have_words(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str) -> None:
    def fail(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(transports, "_open", fail)
    with pytest.raises(SendError, match=words):
        DeltaReports(registry, DogStatsD("unix:///s")).report()


def test_a_socket_that_nobody_reads_holds_up_nobody_for_long(
    registry: tm.Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "_PATIENCE", 0.02)
    for i in range(900):
        registry.counter("hits").inc(1, user=i)
    with unix(tmp_path / "s") as server:
        reports = DeltaReports(registry, DogStatsD(f"unix://{tmp_path}/s", datagram_bytes=64))
        with pytest.raises(SendError, match="has no room: its server does not read, or not fast enough"):
            reports.report()
        while True:  # what was sent before is whole
            server.settimeout(0)
            try:
                assert server.recv(99).startswith(b"hits:")
            except BlockingIOError:
                break


def test_a_server_that_reads_slowly_gets_all(registry: tm.Registry, tmp_path: Path) -> None:
    for i in range(400):
        registry.counter("hits").inc(1, user=i)
    with unix(tmp_path / "s") as server:
        found: list[bytes] = []

        def read() -> None:
            while len(found) < 401:
                time.sleep(0.0005)
                found.extend(server.recv(99).split(b"\n"))

        reader = threading.Thread(target=read)
        reader.start()
        DeltaReports(registry, DogStatsD(f"unix://{tmp_path}/s", datagram_bytes=64)).report()
        reader.join(20)
    assert len(set(found)) == 401


def test_a_deadline_holds(registry: tm.Registry, tmp_path: Path) -> None:
    with unix(tmp_path / "s"), pytest.raises(SendError, match="has no room"):
        DeltaReports(registry, DogStatsD(f"unix://{tmp_path}/s")).report(seconds=0)


def test_a_stream_that_nobody_reads_ends_at_the_deadline() -> None:
    with listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as server:
        backend = StatsD(f"tcp://127.0.0.1:{port_of(server)}")
        with pytest.raises(SendError, match="does not read, or not fast enough; is it stuck"):
            backend.send([b"x" * 2**24], deadline(0.1))
        with pytest.raises(ConnectionResetError):  # so nobody takes the start of a line for a whole one
            received(server)


def test_a_connection_that_is_reset_is_an_error() -> None:
    with listening(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)) as server:

        def reset() -> None:
            client, _ = server.accept()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

        thread = threading.Thread(target=reset)
        thread.start()
        with pytest.raises(SendError, match="closed the connection; has the server ended"):
            StatsD(f"tcp://127.0.0.1:{port_of(server)}").send([b"x" * 2**24], deadline())
        thread.join()


def test_a_datagram_that_is_too_large_for_the_way_is_sent_in_smaller_ones(
    registry: tm.Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux takes no datagram that is larger than a socket's buffer."""
    registry.gauge("depth").set(-1, user="x" * 190)
    for i in range(400):
        registry.counter("hits").inc(1, user=i)
    registry.counter("long", limits=tm.TagLimits(max_value_length=9000)).inc(1, k="y" * 8000)
    opened = transports._open

    def small(*args: Any) -> socket.socket:
        sock = opened(*args)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the system's least
        return sock

    monkeypatch.setattr(transports, "_open", small)
    with unix(tmp_path / "s") as server:
        backend, found = DogStatsD(f"unix://{tmp_path}/s"), []

        def read() -> None:
            while (part := server.recv(9000)) != b"end":
                found.append(part)

        reader = threading.Thread(target=read)
        reader.start()
        with pytest.raises(SendError, match="as large as 1 of the lines; the others were sent") as error:
            backend.send(list(backend.encode(registry.snapshot(), 0.0)), deadline())
        assert error.value.again is False
        backend.send([b"end"], deadline())
        reader.join(20)
    lines = [line for part in found for line in part.split(b"\n")]
    assert len(lines) == 402
    assert {line.partition(b":")[0] for line in lines} == {b"hits", b"depth"}
    assert max(map(len, found)) < 4700


class Crowded:
    """A socket of a system that does not take the first datagrams."""

    def __init__(self, failures: int, number: int = errno.ENOBUFS) -> None:
        self.failures = failures
        self.number = number
        self.sent: list[bytes] = []

    def send(self, part: bytes) -> int:
        if self.failures:
            self.failures -= 1
            raise OSError(self.number, os.strerror(self.number))
        self.sent.append(part)
        return len(part)


def test_a_system_without_room_is_asked_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "_RETRY", 0)
    sock: Any = Crowded(3)
    transports._send_in_time(sock, b"a", deadline())
    assert sock.sent == [b"a"]
    refused: Any = Crowded(3, errno.ECONNREFUSED)
    with pytest.raises(ConnectionRefusedError):
        transports._send_in_time(refused, b"a", deadline())
    assert refused.failures == 2
    monkeypatch.setattr(transports, "_PATIENCE", 0)
    crowded: Any = Crowded(10**9)
    with pytest.raises(OSError, match="No buffer space"):
        transports._send_in_time(crowded, b"a", deadline())


def test_udp_pauses_between_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with the usual buffers would lose most of a report that arrives at once."""
    slept: list[float] = []
    monkeypatch.setattr(transports, "_PATIENCE", 1.0)
    monkeypatch.setattr(time, "sleep", slept.append)
    with udp() as server:
        StatsD(f"127.0.0.1:{port_of(server)}").send([b"a:1|c"] * 33, deadline())
        assert len(slept) == 4
        assert len([server.recv(9) for _ in range(33)]) == 33


def test_a_forked_child_sends_for_itself(registry: tm.Registry) -> None:
    with udp() as server:
        backend = StatsD(f"127.0.0.1:{port_of(server)}")
        backend.send([b"parent:1|c"], deadline())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                backend.send([b"child:1|c"], deadline())
                backend.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        backend.send([b"parent:2|c"], deadline())
        assert [server.recv(99) for _ in range(3)] == [b"parent:1|c", b"child:1|c", b"parent:2|c"]


def test_data_that_cannot_be_told_is_counted_by_who_asks(registry: tm.Registry) -> None:
    told: list[tuple[str, str]] = []
    backend = StatsD(dialect="influxdb")
    backend.on_dropped = lambda *what: told.append(what)
    registry.gauge("depth").set(float("inf"))
    registry.counter("hits").inc(1, method="a,b")
    assert list(backend.encode(registry.snapshot(), 0.0)) == [b"hits,method=GET:5|c\nhits,method=a_b:1|c"]
    assert told == [("hits", "name"), ("depth", "unsupported_value")]
