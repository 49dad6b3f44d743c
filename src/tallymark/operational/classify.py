"""How an operation that an exception ended is counted."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Outcome", "classify"]


class Outcome(NamedTuple):
    """How an operation ended.

    Attributes:
        status: `"success"`, `"error"`, `"timeout"`, `"cancelled"`, or a word of the service's own.
        error_type: what went wrong; if it is empty, no error is counted.
        error_category: the kind of error; may be empty.
    """

    status: str
    error_type: str = ""
    error_category: str = ""


def classify(error: BaseException) -> Outcome:
    """Return the outcome of an operation that `error` ended: the default classifier of `OperationalMetrics`.

    `TimeoutError` (asyncio's too) is a `timeout`. Exceptions that ask the code to stop, and are no failure, are `cancelled`:
    `asyncio.CancelledError`, `GeneratorExit`, `KeyboardInterrupt`, `SystemExit`. Any other is an `error`, whose type is its
    class.
    """
    if isinstance(error, TimeoutError):
        return Outcome("timeout")
    if not isinstance(error, Exception):
        return Outcome("cancelled")
    return Outcome("error", class_name(error))


def class_name(error: BaseException) -> str:
    """Return the name of an exception's class, without running any of its code."""
    return str(type.__dict__["__name__"].__get__(type(error)))
