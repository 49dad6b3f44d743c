"""`HeadReader`: heads are found in whatever parts they come, and each byte is looked at once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tallymark.serve import wire
from tallymark.serve.wire import HeadReader, RequestError

HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*"


def parts(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def read(data: bytes, size: int, limit: int = 16_384) -> list[bytes | int]:
    """Return the heads that are found, and the status of what is rejected."""
    reader, found = HeadReader(limit), []
    try:
        for part in parts(data, size):
            reader.feed(part)
            while (head := reader.take()) is not None:
                found.append(head)
    except RequestError as error:
        return [*found, error.status]
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 1000])
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
@pytest.mark.parametrize("start", [b"", b"\r\n", b"\n\n\r\r\n"])
def test_a_head_may_come_in_parts_of_any_size(size: int, end: bytes, start: bytes) -> None:
    assert read((start + HEAD + end) * 3, size) == [HEAD] * 3


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "data", [b"\x00", b"GET\r\n", b" GET / HTTP/1.1", b"GE\x00", b"GET / HTTP/x", b"{}", b"GET /a b HTTP/1.1\r\n", b"GET\t"]
)
def test_what_can_become_no_request_is_rejected_before_the_head_ends(data: bytes, size: int) -> None:
    rejected = not data.endswith(b"x")  # the end of that line is still missing
    assert read(data, size) == ([400] if rejected else [])


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_limit_is_the_same_for_any_parts(size: int) -> None:
    head = b"GET / HTTP/1.1\r\nA: "
    exact = head + b"x" * (64 - len(head) - 4) + b"\r\n\r\n"
    assert read(exact, size, limit=64) == [exact[:-4]]
    assert read(head + b"x" * (64 - len(head) - 3) + b"\r\n\r\n", size, limit=64) == [431]


class Counting:
    """A pattern that counts the bytes that it may look at."""

    def __init__(self, pattern: re.Pattern[bytes], looked_at: list[int]) -> None:
        self._pattern, self._looked_at = pattern, looked_at

    def search(self, data: bytearray, start: int, end: int) -> Any:
        self._looked_at.append(min(len(data), end) - start)
        return self._pattern.search(data, start, end)

    def match(self, data: bytearray, start: int = 0) -> Any:
        match = self._pattern.match(data, start)
        self._looked_at.append(match.end() - start if match else len(data) - start)
        return match

    def fullmatch(self, data: bytearray) -> Any:
        self._looked_at.append(len(data))
        return self._pattern.fullmatch(data)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 600,
        b"GET /" + b"x" * 4000 + b" HTTP/1.1\r\n",
        b"M" * 4000 + b" / HTTP/1.1\r\n",
        b"\r\n" * 2000 + b"GET / HTTP/1.1\r\n",
    ],
    ids=["fields", "target", "method", "empty lines"],
)
def test_a_head_that_comes_byte_by_byte_is_looked_at_once(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    looked_at: list[int] = []
    for name in ("_END", "_REQUEST_LINE", "_METHOD_START", "_METHOD_REST", "_BREAKS"):
        monkeypatch.setattr(wire, name, Counting(getattr(wire, name), looked_at))
    assert len(read(head + b"\r\n", 1)) == 1
    assert sum(looked_at) < 10 * len(head)
