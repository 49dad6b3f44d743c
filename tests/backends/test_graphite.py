"""`Graphite`: its lines, and servers that do not listen, do not read, close too soon, or are something else."""

from __future__ import annotations

import itertools
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from golden_file import golden
from graphite_parser import parse_graphite
from hypothesis import example, given
from hypothesis import strategies as st
from one_report import body, send

import tallymark as tm
from everything import everything, family, tags
from tallymark.backends import Graphite
from tallymark.client.deadline import Deadline
from tallymark.report.errors import SendError

NOWHERE = "127.0.0.1:9"


def gauges(*rows: dict[str, str], values: Any = None, name: str = "g", time: float = 1.5) -> tm.Snapshot:
    numbers = tuple(values or map(float, range(len(rows))))
    return tm.Snapshot((family(name, "gauge", tm.GaugeData(tags(*rows), (0.0,) * len(rows), numbers)),), time)


@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "plain"])
def test_the_bytes_are_these(tagged: bool) -> None:
    made = body(Graphite(NOWHERE, tagged=tagged, prefix="app.", tags={"host": "h", "route": "ours"}), everything())
    assert made == golden(f"graphite-{'tagged' if tagged else 'plain'}.txt", made)
    found = parse_graphite(made)
    assert all(one.name.startswith("app.") and one.time == 1_700_000_010 for one in found)
    assert len({(one.name, *sorted(one.tags.items())) for one in found}) == len(found)


ODD = st.text() | st.sampled_from(
    ["a b", "a;b=c", "~a", "~", "", "\n", "a\nb 1 2", '{a="b"}', '"}', "a\u2028b", "a\u00a0b", "\x1f"]
)
KEYS = st.from_regex(r"[A-Za-zé_][A-Za-z0-9_./:-]*", fullmatch=True) | st.sampled_from(["name", "exported_name"])


@given(st.dictionaries(KEYS, ODD, max_size=4), st.dictionaries(KEYS, ODD, max_size=2), st.floats(), st.text(), st.booleans())
@pytest.mark.slow
@example({"a": "b;c=d"}, {}, 1.0, "g", True)
@example({"name": "b"}, {"exported_name": "b"}, 1.0, "g", True)
@example({"a": '{b="c"}'}, {}, 1.0, "g", True)
@example({"a": "b.c"}, {"d": "/"}, 1.0, "a/b", False)
def test_nobody_forges_a_line_a_name_or_a_tag(
    own: dict[str, str], common: dict[str, str], value: float, name: str, tagged: bool
) -> None:
    told: list[tuple[str, str]] = []
    backend = Graphite(NOWHERE, tagged=tagged, tags=common)
    backend.on_dropped = lambda *what: told.append(what)
    found = parse_graphite(body(backend, gauges(own, values=[value], name=name)))
    assert len(found) == math.isfinite(value)
    assert math.isfinite(value) or (name, "unsupported_value") in told
    for one in found:
        assert one.value == value
        whole = {**common, **own}
        if tagged:
            wanted = {key: text for key, text in whole.items() if text}
            assert len(one.tags) == len(wanted)
            assert (one.tags == wanted and one.name == name) or (name, "name") in told
        else:
            assert one.tags == {}
            assert len(one.name.removeprefix(name).split(".")) - 1 >= 2 * len(whole)


def test_a_tag_called_name_is_another_tag_and_keys_stay_apart() -> None:
    (one,) = parse_graphite(body(Graphite(NOWHERE), gauges({"name": "a", "exported_name": "b"})))
    assert one.tags == {"exported_name": "b", "exported_name_": "a"}


def test_series_whose_tags_become_the_same_are_told_as_one() -> None:
    rows = tags({"a": "x y"}, {"a": "x_y"}, {"a": "z"})
    counter = family("c", "counter", tm.SumData(rows, (0.0,) * 3, (1.0, 2.0, 4.0), True))
    spread = family(
        "h", "histogram", tm.HistogramData(rows, (0.0,) * 3, (1.0,), ((1, 0),) * 3, (0.5,) * 3, (0.5,) * 3, (0.5,) * 3)
    )
    told: list[tuple[str, str]] = []
    backend = Graphite(NOWHERE)
    backend.on_dropped = lambda *what: told.append(what)
    for _ in range(2):
        found = {
            (one.name, one.tags["a"]): one.value for one in parse_graphite(body(backend, tm.Snapshot((counter, spread), 1.0)))
        }
        assert (found["c", "x_y"], found["c", "z"]) == (3.0, 4.0)
        assert (found["h.count", "x_y"], found["h.sum", "x_y"], found["h.count", "z"]) == (2.0, 1.0, 1.0)
    assert told == [("c", "name"), ("h", "name")] * 2


def test_quantiles_of_series_that_are_told_as_one_are_of_all_of_them(registry: tm.Registry) -> None:
    took = registry.timer("took", buckets=[1, 10, 100])
    backend = Graphite(NOWHERE, quantiles=[])
    for low, high in ((2.0, 50.0), (20.0, 5.0)):
        took.record(low, a="x y")
        took.record(high, a="x_y")
        found = {one.name: one.value for one in parse_graphite(body(backend, registry.snapshot())) if one.tags}
    assert (found["took.count"], found["took.sum"]) == (4, 77)
    assert 1 <= found["took.min"] <= 5
    assert 20 <= found["took.max"] <= 50


def test_a_line_that_carbon_would_close_the_connection_for_is_left_out_and_told() -> None:
    told: list[tuple[str, str]] = []
    backend = Graphite(NOWHERE)
    backend.on_dropped = lambda *what: told.append(what)
    for rows in ([{"a": "é" * 9000}, {"a": "b"}], [{"a": "é" * 9000}]):
        found = parse_graphite(body(backend, gauges(*rows)))
        assert [one.tags["a"] for one in found] == ["b"] * (len(rows) - 1)
    assert told == [("g", "name")] * 2


def test_quantiles_are_of_what_was_observed_since_the_report_before(registry: tm.Registry) -> None:
    took = registry.timer("took", buckets=[1, 10, 100])
    spread = registry.histogram("spread", exponential=True)
    backend = Graphite(NOWHERE, quantiles=[0.5, 0.999])

    def told(name: str) -> dict[str, float]:
        registry.counter("c").inc()  # what has no quantiles
        found = parse_graphite(body(backend, registry.snapshot()))
        return {one.name.removeprefix(f"{name}."): one.value for one in found if one.name.startswith(name)}

    for instrument in (took, spread):
        instrument.record(2.0) if instrument is took else instrument.observe(2.0)  # type: ignore[union-attr]
    assert told("took") == {"count": 1, "sum": 2, "min": 2, "max": 2, "p50": 2, "p999": 2}
    for value in (50.0, 60.0):
        took.record(value)
    second = told("took")
    assert (second["count"], second["sum"]) == (3, 112)
    assert 10 <= second["min"] <= second["p50"] <= second["p999"] <= second["max"] == 60
    spread.observe(7.0)
    third = told("spread")
    assert (third["count"], third["sum"], third["max"]) == (2, 9, 7)
    assert third["p50"] == pytest.approx(7, rel=0.05)
    assert told("took") == {"count": 3, "sum": 112}  # nothing was observed since


@pytest.mark.parametrize(("time", "wanted"), [(math.nan, 0), (-5.0, 0), (math.inf, 0), (1e300, 2**31 - 1), (7.9, 7)])
def test_a_clock_that_is_wrong_makes_no_line_invalid(time: float, wanted: int) -> None:
    assert [one.time for one in parse_graphite(body(Graphite(NOWHERE), gauges({}, time=time)))] == [wanted]


def test_series_come_and_go_between_reports(registry: tm.Registry) -> None:
    hits = registry.counter("hits")
    backend = Graphite(NOWHERE, tags={"host": "h"})

    def told() -> dict[str, float]:
        found = parse_graphite(body(backend, registry.snapshot()))
        assert {one.tags["host"] for one in found} == {"h"}
        return {one.tags["path"]: one.value for one in found if one.name == "hits" and "path" in one.tags}

    for count, path in enumerate("abcd", 1):
        hits.inc(count, path=path)
        assert told() == dict(zip("abcd"[:count], itertools.count(1), strict=False))
    hits.with_tags(path="b").remove()
    assert told() == {"a": 1, "c": 3, "d": 4}
    hits.inc(9, path="b")
    assert told() == {"a": 1, "b": 9, "c": 3, "d": 4}


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Let a function serve one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            client, _ = listener.accept()
            with client:
                serve(client)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)
        assert not thread.is_alive()


def test_a_report_has_arrived_when_all_of_it_was_read() -> None:
    got: list[bytes] = []

    def serve(client: socket.socket) -> None:
        got.extend(iter(lambda: client.recv(65536), b""))

    snapshot = gauges(*[{"i": str(i)} for i in range(5000)])
    with server(serve) as address:
        backend = Graphite(address)
        size = send(backend, snapshot)
        assert repr(backend) == f"<Graphite {address}>"
    assert b"".join(got) == body(Graphite(NOWHERE), snapshot)
    assert size == sum(map(len, got))


def test_a_server_that_dies_before_it_has_read_all_is_tried_again() -> None:
    def serve(client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # as when it is killed
        client.recv(1)

    with server(serve) as address, pytest.raises(SendError, match="closed the connection before it had read all") as info:
        send(Graphite(address), gauges({}))
    assert info.value.again


def test_a_server_that_does_not_read_is_given_up_in_time_and_tried_again() -> None:
    done = threading.Event()
    with server(lambda client: (done.wait(10), None)[1]) as address:  # as carbon does while its cache is full
        clock = iter([0.0, 0.0, 0.0, 4.9])
        with pytest.raises(SendError, match="has not read all in time; is it overloaded") as info:
            Graphite(address).send([b"a 1 1\n"], Deadline(5.0, lambda: next(clock, 9.0)))
        done.set()
    assert info.value.again


def test_a_line_that_was_cut_is_never_taken_for_a_whole_one() -> None:
    """VictoriaMetrics takes what the end of a connection cuts for its last line: with another value, or another time."""
    done, ends = threading.Event(), list[bool]()

    def serve(client: socket.socket) -> None:
        done.wait(10)
        try:
            while client.recv(65536):
                pass
            ends.append(True)
        except ConnectionResetError:
            ends.append(False)

    with server(serve) as address:
        with pytest.raises(SendError, match="has not read all in time"):
            Graphite(address).send([b"a 1 1\n" * 2**22], Deadline(0.1, time.monotonic))
        done.set()
    assert ends == [False]


def test_what_answers_is_not_graphite() -> None:
    def serve(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 400 Bad\x1b Request\r\n\r\n")
        client.recv(1)

    with server(serve) as address, pytest.raises(SendError, match=r"answers 'HTTP/1.1 400 Bad\\\\x1b Request', and") as info:
        send(Graphite(address), gauges({}))
    assert not info.value.again


def test_nobody_listens_or_there_is_no_such_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SendError, match=f"127.0.0.1:{port} cannot be reached: nobody listens there") as info:
        send(Graphite(f"127.0.0.1:{port}"), gauges({}))
    assert info.value.again
    with pytest.raises(SendError, match=r"no-host\.invalid:2003 cannot be reached: there is no host") as info:
        send(Graphite("no-host.invalid:2003"), gauges({}))
    assert info.value.again


@pytest.mark.parametrize(
    "address", ["", "graphite", "http://127.0.0.1:2003", "127.0.0.1:99999", "127.0.0.1:2003/x", "a b:2003", "tcp://a:1", "a:0"]
)
def test_what_is_no_address_is_told_at_once(address: str) -> None:
    with pytest.raises(ValueError, match=r"is not the address of a Graphite server: write it as '127\.0\.0\.1:2003'"):
        Graphite(address)


@pytest.mark.parametrize("address", ["user:secret@127.0.0.1:2003", "tcp://user:secret@127.0.0.1:2003", "u:/secret@h"])
def test_an_error_does_not_tell_a_password(address: str) -> None:
    with pytest.raises(ValueError, match=r"…@.* is not the address of a Graphite server") as info:
        Graphite(address)
    assert "secret" not in str(info.value)


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(TypeError, match="address must be a str, not tuple"):
        Graphite(("127.0.0.1", 2003))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="each of quantiles must be within 0 and 1, not 99"):
        Graphite(NOWHERE, quantiles=[99])
    with pytest.raises(TypeError, match=r"quantiles must be a list of numbers such as \[0.5, 0.99\], not float"):
        Graphite(NOWHERE, quantiles=0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="each of quantiles must be a number, not str"):
        Graphite(NOWHERE, quantiles=["0.5"])  # type: ignore[list-item]
    for name in ("include", "exclude"):
        with pytest.raises(TypeError, match=f"{name} must be a list of globs, not NoneType"):
            Graphite(NOWHERE, **{name: None})  # type: ignore[arg-type]
    assert Graphite("[::1]:80").address == "[::1]:80"
