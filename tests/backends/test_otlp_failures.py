"""What OTLP makes of servers that take nothing, or only a part, or answer nonsense."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from otlp_server import Received, grpc_receiver, http_receiver

import tallymark as tm
from everything import everything
from tallymark.backends import OTLP
from tallymark.client.deadline import Deadline
from tallymark.report.errors import SendError, TooLargeError


def soon(seconds: float = 10.0) -> Deadline:
    return Deadline(seconds, time.monotonic)


def partial(rejected: int, words: str) -> bytes:
    message = ExportMetricsServiceResponse()
    message.partial_success.rejected_data_points = rejected
    message.partial_success.error_message = words
    return bytes(message.SerializeToString())


@pytest.fixture
def received() -> Iterator[Received]:
    with http_receiver() as found:
        yield found


@pytest.fixture
def otlp(received: Received) -> Iterator[OTLP]:
    made = OTLP(f"http://user:secret@127.0.0.1:{received.port}", headers={})
    yield made
    made.close()


@pytest.fixture
def grpc_received() -> Iterator[Received]:
    with grpc_receiver() as found:
        yield found


@pytest.fixture
def grpc_otlp(grpc_received: Received) -> Iterator[OTLP]:
    made = OTLP(f"http://user:secret@127.0.0.1:{grpc_received.port}", protocol="grpc", headers={})
    yield made
    made.close()


def send(otlp: OTLP, deadline: Deadline | None = None) -> None:
    otlp.send(list(otlp.encode(everything(), 0.0)), deadline or soon())


# Over HTTP


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (400, False), (401, False), (403, False), (404, False), (405, False), (408, False), (425, False), (429, True),
        (500, False), (501, False), (502, True), (503, True), (504, True), (301, False), (307, False), (304, False),
    ],
)  # fmt: skip
def test_only_what_the_protocol_names_is_sent_again(otlp: OTLP, received: Received, status: int, again: bool) -> None:
    received.answers = [(status, {"Retry-After": "7"}, b"")]
    with pytest.raises(SendError) as caught:
        send(otlp)
    assert (caught.value.again, isinstance(caught.value, TooLargeError)) == (again, False)
    assert f"answers {status}" in str(caught.value)
    assert "secret" not in str(caught.value)
    if again:
        assert caught.value.after == 7.0
    send(otlp)
    assert len(received.requests) == 1


def test_what_is_too_large_may_be_sent_in_parts(otlp: OTLP, received: Received) -> None:
    received.answers = [(413, {}, b"")]
    with pytest.raises(TooLargeError):
        send(otlp)


def test_an_error_has_the_words_of_the_server(otlp: OTLP, received: Received) -> None:
    words = Status(code=3, message="no \x1b[31mé").SerializeToString()
    received.answers = [(400, {}, words), (400, {"Content-Type": "text/plain"}, b"plain"), (400, {}, b"\xff<nonsense>")]
    for expected in (r"answers 400: no \x1b[31mé", "answers 400: plain", "nonsense"):
        with pytest.raises(SendError) as caught:
            send(otlp)
        assert expected in str(caught.value)
        assert str(caught.value).isprintable()


def test_a_server_that_hangs_up_refuses_or_is_silent_may_be_asked_again(otlp: OTLP, received: Received) -> None:
    received.answers = [(0, {}, b"")]
    with pytest.raises(SendError) as caught:
        send(otlp)
    assert caught.value.again
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        refusing = OTLP(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SendError, match="nobody listens there") as caught:
            send(refusing)
        assert caught.value.again
        silent.listen()
        slow = OTLP(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)
        for seconds in (10.0, 0.04):
            with pytest.raises(SendError, match="has not answered in time") as caught:
                send(slow, soon(seconds))
            assert caught.value.again
    with pytest.raises(SendError, match="no time left") as caught:
        send(otlp, Deadline(-1.0, time.monotonic))
    assert caught.value.again


def test_a_request_may_take_no_longer_than_its_timeout_nor_than_its_deadline(
    otlp: OTLP, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []
    monkeypatch.setattr(otlp._wire, "send", lambda _, deadline: (b"", int(not left.append(deadline.left()))))
    send(otlp, soon(100.0))
    send(otlp, soon(5.0))
    assert 5.0 < left[0] <= 10.0
    assert 0.0 < left[1] <= 5.0


def test_what_a_server_did_not_take_of_a_request_is_counted_and_logged_once(
    otlp: OTLP, received: Received, caplog: pytest.LogCaptureFixture
) -> None:
    dropped: list[tuple[str, str]] = []
    otlp.on_dropped = lambda metric, reason: dropped.append((metric, reason))
    received.answers = [(200, {}, partial(5, "too \n old"))] * 2 + [
        (200, {}, partial(0, "soon full")),
        (200, {}, partial(-1, "")),
    ]
    with caplog.at_level(logging.WARNING, "tallymark"):
        for _ in range(4):
            send(otlp)
    assert otlp.rejected_points == 10
    assert dropped == [("otlp", "partial_success")] * 2
    told = [message.partition(" ")[2] for message in caplog.messages]
    assert told == [r"rejected data points: too \n old", "warns: soon full"]
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "body", [b"<html>Welcome</html>", b'{"partialSuccess":{}}', b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f"]
)
def test_an_answer_that_is_nonsense_is_logged_once_and_the_report_counts_as_arrived(
    otlp: OTLP, received: Received, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    received.answers = [(200, {}, body)] * 2
    send(otlp)
    send(otlp)
    assert [message.partition(" ")[2] for message in caplog.messages] == [
        "answers in words that are not OTLP's; is this its URL?"
    ]
    assert otlp.rejected_points == 0


def test_an_answer_that_is_empty_is_a_full_success(otlp: OTLP, received: Received, caplog: pytest.LogCaptureFixture) -> None:
    received.answers = [(200, {}, b""), (204, {}, b""), (202, {}, b"")]
    for _ in range(3):
        send(otlp)
    assert caplog.messages == []


# Over gRPC


def aborts(code: str, words: str = "", retry: RetryInfo | None = None, details: bytes | None = None) -> Any:
    """Return what answers with a status."""
    import grpc

    def answer(context: Any) -> bytes:
        if retry is not None:
            packed = AnyMessage()
            packed.Pack(retry)
            context.set_trailing_metadata((("grpc-status-details-bin", Status(details=[packed]).SerializeToString()),))
        elif details is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode[code], words)
        raise AssertionError

    return answer


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("CANCELLED", True), ("UNKNOWN", False), ("INVALID_ARGUMENT", False), ("DEADLINE_EXCEEDED", True), ("NOT_FOUND", False),
        ("ALREADY_EXISTS", False), ("PERMISSION_DENIED", False), ("UNAUTHENTICATED", False), ("RESOURCE_EXHAUSTED", False),
        ("FAILED_PRECONDITION", False), ("ABORTED", True), ("OUT_OF_RANGE", True), ("UNIMPLEMENTED", False),
        ("INTERNAL", False), ("UNAVAILABLE", True), ("DATA_LOSS", True),
    ],
)  # fmt: skip
def test_only_the_codes_that_the_protocol_names_are_sent_again(
    grpc_otlp: OTLP, grpc_received: Received, code: str, again: bool
) -> None:
    grpc_received.answers = [aborts(code, "w\x1brds")]
    with pytest.raises(SendError) as caught:
        send(grpc_otlp)
    assert (caught.value.again, caught.value.after) == (again, 0.0)
    assert not isinstance(caught.value, TooLargeError)
    assert rf"answers {code}: w\x1brds" in str(caught.value)
    assert "secret" not in str(caught.value)
    send(grpc_otlp)
    assert len(grpc_received.requests) == 1


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_a_server_tells_when_to_try_again(grpc_otlp: OTLP, grpc_received: Received, code: str) -> None:
    grpc_received.answers = [
        aborts(code, retry=RetryInfo(retry_delay=Duration(seconds=3, nanos=500_000_000))),
        aborts(code, retry=RetryInfo(retry_delay=Duration(seconds=10**10))),
        aborts(code, retry=RetryInfo(retry_delay=Duration(seconds=-5))),
    ]
    for after in (3.5, 3600.0, 0.0):
        with pytest.raises(SendError) as caught:
            send(grpc_otlp)
        assert (caught.value.again, caught.value.after) == (True, after)


@pytest.mark.parametrize(
    "details",
    [b"\xff\xff", b"", Status(details=[AnyMessage(type_url="x/google.rpc.RetryInfo", value=b"\xff")]).SerializeToString()],
)
def test_details_that_are_nonsense_are_as_none(grpc_otlp: OTLP, grpc_received: Received, details: bytes) -> None:
    grpc_received.answers = [aborts("RESOURCE_EXHAUSTED", details=details)]
    with pytest.raises(SendError) as caught:
        send(grpc_otlp)
    assert (caught.value.again, caught.value.after) == (False, 0.0)


def test_what_is_too_large_for_grpc_may_be_sent_in_parts() -> None:
    with grpc_receiver(max_receive_message_length=500) as received:
        otlp = OTLP(f"http://127.0.0.1:{received.port}", protocol="grpc")
        with pytest.raises(TooLargeError, match="larger than max"):
            send(otlp)
        otlp.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 4)"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000"),
        ("OUT_OF_RANGE", "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
    ],
)
def test_servers_in_other_languages_say_too_large_in_their_words(
    grpc_otlp: OTLP, grpc_received: Received, code: str, words: str
) -> None:
    grpc_received.answers = [aborts(code, words)]
    with pytest.raises(TooLargeError):
        send(grpc_otlp)


def test_an_answer_that_is_too_large_is_no_sign_that_the_report_was(grpc_otlp: OTLP, grpc_received: Received) -> None:
    grpc_received.answers = [lambda _: partial(0, "x" * 5_000_000)]
    with pytest.raises(SendError, match="larger than max") as caught:
        send(grpc_otlp)
    assert not isinstance(caught.value, TooLargeError)
    assert not caught.value.again


def test_over_grpc_too_a_part_that_was_not_taken_is_counted(grpc_otlp: OTLP, grpc_received: Received) -> None:
    grpc_received.answers = [lambda _: partial(3, "no"), lambda _: b"\xff\xff", lambda _: b""]
    for _ in range(3):
        send(grpc_otlp)
    assert grpc_otlp.rejected_points == 3


@pytest.mark.slow
def test_a_server_of_grpc_that_is_gone_or_silent_may_be_asked_again_and_is_found_as_soon_as_it_is_back() -> None:
    with grpc_receiver() as received:
        pass
    otlp = OTLP(f"http://127.0.0.1:{received.port}", protocol="grpc")
    for _ in range(5):
        with pytest.raises(SendError, match="answers UNAVAILABLE") as caught:
            send(otlp)
        assert caught.value.again
    with grpc_receiver(received.port, received):
        send(otlp)
    assert len(received.requests) == 1
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        slow = OTLP(f"http://127.0.0.1:{silent.getsockname()[1]}", protocol="grpc")
        with pytest.raises(SendError) as caught:
            send(slow, soon(0.2))
        assert caught.value.again
    with pytest.raises(SendError) as caught:
        send(otlp, Deadline(-1.0, time.monotonic))
    assert caught.value.again
    otlp.close()
    otlp.close()


def test_a_server_of_http_that_is_asked_over_grpc_is_an_error_that_tells(received: Received) -> None:
    otlp = OTLP(f"http://127.0.0.1:{received.port}", protocol="grpc")
    with pytest.raises(SendError, match="UNAVAILABLE"):
        send(otlp, soon(2.0))
    otlp.close()


def test_a_report_of_nothing_has_no_parts(otlp: OTLP) -> None:
    assert list(otlp.encode(tm.Snapshot((), 1.0), 0.0)) == []
