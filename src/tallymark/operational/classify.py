"""How an operation that an exception ended is accounted for."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Outcome", "classify"]


class Outcome(NamedTuple):
    """How an operation ended.

    Attributes:
        status: `"success"`, `"error"`, `"timeout"`, `"cancelled"`, or a word of the service's own.
        error_type: what went wrong; nothing is counted as an error if it is empty.
        error_category: what kind of thing that is; may be empty.
    """

    status: str
    error_type: str = ""
    error_category: str = ""


def classify(error: BaseException) -> Outcome:
    """Return the outcome of an operation that `error` ended: the classifier that `OperationalMetrics` uses if given no other.

    `TimeoutError` (asyncio's too) is a `timeout`. What asks the code to stop, and is not its failure, is `cancelled`:
    `asyncio.CancelledError`, `GeneratorExit`, `KeyboardInterrupt`, `SystemExit`. Any other exception is an `error`, of the
    exception's class.
    """
    if isinstance(error, TimeoutError):
        return Outcome("timeout")
    if not isinstance(error, Exception):
        return Outcome("cancelled")
    return Outcome("error", class_name(error))


def class_name(error: BaseException) -> str:
    """Return the name of an exception's class, without running any code of it."""
    return str(type.__dict__["__name__"].__get__(type(error)))
