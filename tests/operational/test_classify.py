"""`classify`: the outcome of each exception."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import subprocess

import pytest

from tallymark.operational import Outcome, classify


class OwnTimeoutError(TimeoutError):
    """A kind of timeout."""


class OwnCancelledError(asyncio.CancelledError):
    """A kind of cancellation."""


class StoppedError(BaseException):
    """Asks the code to stop."""


class Renamed(type):
    """Of classes whose `__name__` is their own."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return "custom"


class PlainError(Exception, metaclass=Renamed):
    """Its class has another `__name__`."""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("x"), ("error", "ValueError", "")),
        (Exception(), ("error", "Exception", "")),
        (OSError(2, "x"), ("error", "FileNotFoundError", "")),
        (PlainError(), ("error", "PlainError", "")),
        (StopAsyncIteration(), ("error", "StopAsyncIteration", "")),
        (subprocess.TimeoutExpired("x", 1), ("error", "TimeoutExpired", "")),
        (ExceptionGroup("x", [TimeoutError()]), ("error", "ExceptionGroup", "")),
        (TimeoutError(), ("timeout", "", "")),
        (socket.timeout(), ("timeout", "", "")),  # noqa: UP041
        (asyncio.TimeoutError(), ("timeout", "", "")),  # noqa: UP041
        (concurrent.futures.TimeoutError(), ("timeout", "", "")),
        (OwnTimeoutError(), ("timeout", "", "")),
        (asyncio.CancelledError(), ("cancelled", "", "")),
        (OwnCancelledError(), ("cancelled", "", "")),
        (GeneratorExit(), ("cancelled", "", "")),
        (KeyboardInterrupt(), ("cancelled", "", "")),
        (SystemExit(1), ("cancelled", "", "")),
        (StoppedError(), ("cancelled", "", "")),
        (BaseExceptionGroup("x", [KeyboardInterrupt()]), ("cancelled", "", "")),
    ],
    ids=lambda given: type(given).__qualname__ if isinstance(given, BaseException) else "",
)
def test_the_outcome_of_an_exception(error: BaseException, outcome: tuple[str, str, str]) -> None:
    assert classify(error) == outcome


def test_an_outcome_names_its_parts() -> None:
    assert Outcome("success") == ("success", "", "")
    outcome = Outcome("error", "Refused", "client")
    assert (outcome.status, outcome.error_type, outcome.error_category) == ("error", "Refused", "client")
