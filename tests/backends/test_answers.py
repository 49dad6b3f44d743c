"""What the status of an HTTP backend means for what it was sent; and for how long it asks."""

from __future__ import annotations

from email.message import Message
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.backends.answers import check_answer, retry_after
from tallymark.client.address import Address
from tallymark.client.http import Answer
from tallymark.report.errors import SendError, TooLargeError

ADDRESS = Address.parse("http://u:hunter2@127.0.0.1:1/write")


def answer(status: int, body: bytes = b"", **fields: str) -> Answer:
    headers = Message()
    for name, value in fields.items():
        headers[name.replace("_", "-")] = value
    return Answer(status, headers, body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_it_was_taken(status: int) -> None:
    check_answer(ADDRESS, answer(status, b"whatever"))


@pytest.mark.parametrize(
    ("status", "again"),
    [(408, True), (425, True), (429, True), (500, True), (502, True), (503, True), (504, True), (400, False), (401, False),
     (404, False), (422, False), (301, False), (304, False), (199, False)],
)  # fmt: skip
def test_it_was_not(status: int, again: bool) -> None:
    with pytest.raises(SendError) as raised:
        check_answer(ADDRESS, answer(status, b"why\nnot\x1b[2J"))
    assert raised.value.again is again
    assert str(raised.value).startswith(f"http://127.0.0.1:1/write answers {status}: why\\nnot\\x1b[2J")
    assert "hunter2" not in str(raised.value)


def test_words_that_end_a_sentence_do_not_end_it_twice() -> None:
    with pytest.raises(SendError, match=r"answers 401: Who are you\. Are the credentials right\?$"):
        check_answer(ADDRESS, answer(401, b"Who are you.\n"))


def test_it_was_too_much_at_once() -> None:
    with pytest.raises(TooLargeError):
        check_answer(ADDRESS, answer(413))


def test_it_asks_for_time() -> None:
    with pytest.raises(SendError, match=r"answers 503: busy\. It asks for 17 s$") as raised:
        check_answer(ADDRESS, answer(503, b"busy", Retry_After="17"))
    assert raised.value.after == 17


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ("0", 0), ("120", 120), (" 7 ", 7), ("3601", 3600), ("9" * 400, 3600), ("", 0), ("-1", 0), ("1.5", 0), ("soon", 0),
        ("²", 0), (formatdate(1000, usegmt=True), 100), (formatdate(800, usegmt=True), 0),
        (formatdate(10**6, usegmt=True), 3600),
        ("Fri, 31 Feb 2023 00:00:00 GMT", 0), ("Thu, 01 Jan 99999 00:00:00 GMT", 0), ("1970-01-01", 0),
    ],
)  # fmt: skip
def test_for_how_long(field: str, seconds: float) -> None:
    assert retry_after(field, now=lambda: 900.0) == seconds


@settings(max_examples=30)
@given(
    st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{1,6} \d{2}:\d{2}:\d{2} (GMT|[+-]\d{4})", fullmatch=True)
)
def test_any_field_is_some_time(field: str) -> None:
    assert 0 <= retry_after(field, now=lambda: 0.0) <= 3600
