"""`RecordedOperations`: keeps what a service tells the operational layer."""

from __future__ import annotations

from datetime import timedelta
from math import nan
from typing import TypeVar

from tallymark.engine import Number, TagSet
from tallymark.engine.number import to_float
from tallymark.engine.text import value_text as text
from tallymark.testing.calls import Call, ErrorCall, EventCall, OperationCall, ValueCall
from tallymark.testing.operation import Operation

__all__ = ["RecordedOperations"]

C = TypeVar("C", OperationCall, ErrorCall)


class RecordedOperations:
    """Stands in for `tallymark.operational.OperationalMetrics` in tests: records nothing, and keeps the calls.

    What methods are given by place becomes text, as there. They raise `TypeError` for a duration or value that is no number,
    and `TagError` for a context key that is not valid. Data are kept as they come, also where the real layer would refuse them.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []

    # What a service calls

    def record_operation(self, operation: object, status: object, duration: Number | timedelta, /, **context: object) -> None:
        """Keep that an operation ended, after `duration`: seconds, or a timedelta."""
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else to_float(duration)
        self._calls.append(OperationCall(text(operation), text(status), seconds, TagSet(None, **context)))

    def record_error(self, operation: object, error_type: object, error_category: object = "", /, **context: object) -> None:
        """Keep an error of an operation."""
        self._calls.append(ErrorCall(text(operation), text(error_type), text(error_category), TagSet(None, **context)))

    def record_event(self, kind: object, action: object, /, **context: object) -> None:
        """Keep something that happened."""
        self._calls.append(EventCall(text(kind), text(action), TagSet(None, **context)))

    def record_value(self, name: object, category: object, value: Number, /, **context: object) -> None:
        """Keep a value of the business."""
        self._calls.append(ValueCall(text(name), text(category), to_float(value), TagSet(None, **context)))

    def operation(self, name: object, /, **context: object) -> Operation:
        """Return what records each run of a `with` block or, as a decorator, of a function of any kind.

        The status is `"success"`; `"timeout"` after a TimeoutError, `"cancelled"` after `asyncio.CancelledError` and others
        that ask code to stop, `"error"` after any other exception, which is kept as an error too, by the name of its class.
        The block may say otherwise: see `Operation`.

        Raises:
            TagError: a context key is not valid.
        """
        return Operation(self, name, TagSet(None, **context))

    # What a test asks

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls, the first first."""
        return tuple(self._calls)

    def count(self, operation: str, /, status: str | None = None, **context: object) -> int:
        """Return how often an operation ended: with this status, if one is given, and with these tags in its context."""
        calls = [call for call in self._of(OperationCall, operation) if status in (None, call.status)]
        return sum([TagSet(None, **context).items() <= call.context.items() for call in calls])

    def errors(self, operation: str, /, error_type: str | None = None) -> tuple[ErrorCall, ...]:
        """Return the errors of an operation: of this type, if one is given."""
        return tuple([call for call in self._of(ErrorCall, operation) if error_type in (None, call.error_type)])

    def durations(self, operation: str, /) -> tuple[float, ...]:
        """Return how long each run of an operation took, in seconds."""
        return tuple([call.duration for call in self._of(OperationCall, operation)])

    def average(self, operation: str, /) -> float:
        """Return how long an operation took on average, in seconds; NaN if it never ended."""
        durations = self.durations(operation)
        return sum(durations) / len(durations) if durations else nan

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()

    def _of(self, kind: type[C], operation: str) -> list[C]:
        return [call for call in self._calls if isinstance(call, kind) and call.operation == operation]
