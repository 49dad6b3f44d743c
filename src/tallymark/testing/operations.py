"""`RecordedOperations`: the operational layer, which keeps each call of a service."""

from __future__ import annotations

from datetime import timedelta
from math import nan
from typing import TYPE_CHECKING, TypeVar

from tallymark.engine import TagSet
from tallymark.engine.number import to_float
from tallymark.engine.text import value_text
from tallymark.metric.registry import Registry
from tallymark.operational import OperationalMetrics, classify
from tallymark.testing.calls import Call, ErrorCall, EventCall, OperationCall, ValueCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tallymark.engine.number import Number

__all__ = ["RecordedOperations"]

C = TypeVar("C", OperationCall, ErrorCall)


class RecordedOperations(OperationalMetrics):
    """`OperationalMetrics` for tests: keeps the calls, and records them to a strict registry of its own.

    So it raises what the real layer raises. For bad data (such as a negative duration) it raises what that raises in a strict
    registry.

    Args:
        classifier: as for `OperationalMetrics`.
    """

    def __init__(self, *, classifier: Callable[[BaseException], tuple[object, object, object]] = classify) -> None:
        super().__init__(Registry(strict=True), classifier=classifier)
        self._calls: list[Call] = []

    # What a service calls

    def record_operation(self, operation: object, status: object, duration: Number | timedelta, /, **context: object) -> None:
        """Keep the end of an operation, and its `duration`: seconds, or a `timedelta`."""
        super().record_operation(operation, status, duration, **context)
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else to_float(duration)
        others = _without(context, "operation", "status")
        self._calls.append(OperationCall(_text(operation), _text(status), seconds, others))

    def record_error(self, operation: object, error_type: object, error_category: object = "", /, **context: object) -> None:
        """Keep an error of an operation."""
        error_category = error_category or context.get("error_category", "")  # as a keyword, it is the category too
        super().record_error(operation, error_type, error_category, **context)
        others = _without(context, "operation", "error_type", "error_category")
        self._calls.append(ErrorCall(_text(operation), _text(error_type), _text(error_category), others))

    def record_event(self, kind: object, action: object, /, **context: object) -> None:
        """Keep something that happened."""
        super().record_event(kind, action, **context)
        self._calls.append(EventCall(_text(kind), _text(action), _without(context, "kind", "action")))

    def record_value(self, name: object, category: object, value: Number, /, **context: object) -> None:
        """Keep an amount."""
        super().record_value(name, category, value, **context)
        others = _without(context, "name", "category")
        self._calls.append(ValueCall(_text(name), _text(category), to_float(value), others))

    # What a test asks

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls, the oldest first."""
        return tuple(self._calls)

    def count(self, operation: str, /, status: str | None = None, **context: object) -> int:
        """Return how often an operation ended: with this status, if one is given, and with these tags in its context."""
        calls = [call for call in self._of(OperationCall, operation) if status in (None, call.status)]
        return sum([TagSet(context).items() <= call.context.items() for call in calls])

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


def _text(value: object) -> str:
    return value_text("a tag", value)


def _without(context: Mapping[str, object], *names: str) -> TagSet:
    """Return the context as tags, without those that the arguments by position are: they win."""
    return TagSet({key: value for key, value in context.items() if key not in names})
