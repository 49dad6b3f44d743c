"""`OperationalMetrics`: the facts that most services need about each operation."""

from __future__ import annotations

from tallymark.engine.policy import NO_TAGS
from tallymark.metric import context as current
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type
from tallymark.operational.classify import classify
from tallymark.operational.operation import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from typing import Any

    from tallymark.engine import Histogram, OperationRecorder
    from tallymark.engine.number import Number

__all__ = ["OperationalMetrics"]


class OperationalMetrics:
    """How often operations happen, how long they take, how they end, and what went wrong; events and amounts beside them.

    | metric | kind | tags |
    | --- | --- | --- |
    | `operations` | counter | `operation`, `status` |
    | `operation_duration` | timer | `operation`, `status` |
    | `operation_errors` | counter | `operation`, `error_type`, `error_category` |
    | `operations_in_flight` | gauge, on request | `operation` |
    | `events` | counter, from the first event on | `kind`, `action` |
    | `amounts` | histogram, from the first amount on | `name`, `category` |

    All methods take further tags as keywords. A positional argument becomes text, and wins over a keyword of the same name. The
    limits on tags and series apply, and bad data is rejected as everywhere: a negative duration (a clock was set back) is not
    recorded, but its operation is counted.

    Args:
        registry: where to record; by default the current registry.
        prefix: starts the names of these metrics; joined to them by `_`.
        classifier: maps an exception that ends an operation to status, error type and error category (a tuple of three, or an
            `Outcome`); an empty error type counts no error.
        in_flight: keep the gauge `operations_in_flight`.
        buckets: upper bounds for `operation_duration`, in seconds; by default `DURATION_BUCKETS`.

    Raises:
        TypeError: `registry` is not a `Registry`, or `prefix` is not text.
        ValueError: `prefix` cannot start a metric's name.
        MetricConflictError: one of the names belongs to another kind.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        prefix: str = "",
        *,
        classifier: Callable[[BaseException], tuple[object, object, object]] = classify,
        in_flight: bool = False,
        buckets: Iterable[float] | None = None,
    ) -> None:
        registry = current.registry() if registry is None else registry
        check_type("registry", registry, Registry)
        check_type("prefix", prefix, str)
        self.classifier = classifier
        self._registry = registry
        self._start = start = f"{prefix}_" if prefix and not prefix.endswith("_") else prefix
        operations = registry.counter(f"{start}operations", description="Operations that ended.")
        duration = registry.timer(f"{start}operation_duration", description="How long operations took.", buckets=buckets)
        errors = registry.counter(f"{start}operation_errors", description="What went wrong in operations.")
        self._operations = registry._operation_recorder(operations, ("operation", "status"), timer=duration)
        self._errors = registry._operation_recorder(errors, ("operation", "error_type", "error_category"), defaults=("",))
        self._events: OperationRecorder | None = None
        self._amounts: Histogram | None = None
        self._call_directly("record_operation", self._operations)
        self._call_directly("record_error", self._errors)
        gauge = f"{start}operations_in_flight"
        self._in_flight = registry.gauge(gauge, description="Operations under way.") if in_flight else None

    def _call_directly(self, method: str, recorder: OperationRecorder) -> None:
        """Make a method of this object a direct call into the engine: a Python method would double its cost."""
        if getattr(type(self), method) is getattr(OperationalMetrics, method):  # else it is a subclass's
            self.__dict__[method] = recorder

    def record_operation(self, operation: object, status: object, duration: Number | timedelta, /, **context: object) -> None:
        """Count one operation that ended with `status`, and record its duration, in seconds or as a `timedelta`.

        Raises:
            TypeError: `duration` is neither a number nor a `timedelta`.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        self._operations(operation, status, duration, **context)

    def record_error(self, operation: object, error_type: object, error_category: object = "", /, **context: object) -> None:
        """Count one error of an operation. An empty `error_category` counts as omitted: a keyword may give it then.

        Raises:
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        if isinstance(error_category, str) and not error_category:
            self._errors(operation, error_type, **context)
        else:
            self._errors(operation, error_type, error_category, **context)

    def record_event(self, kind: object, action: object, /, **context: object) -> None:
        """Count one point in time, such as a refused login: `record_event("security", "login_refused")`.

        Raises:
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        if self._events is None:
            events = self._registry.counter(f"{self._start}events", description="What happened, by kind and action.")
            self._events = self._registry._operation_recorder(events, ("kind", "action"))
            self._call_directly("record_event", self._events)
        self._events(kind, action, **context)

    def record_value(self, name: object, category: object, value: Number, /, **context: object) -> None:
        """Record one amount, as in `record_value("order", "books", 19.9)`: the count, sum and distribution are kept.

        Raises:
            TypeError: `value` is not a number.
            TagError: a tag key is not valid or not allowed, or there are too many tags.
        """
        if self._amounts is None:
            self._amounts = self._registry.histogram(f"{self._start}amounts", description="Amounts, by name and category.")
        tags: dict[str, Any] = context | {"name": name, "category": category}
        if NO_TAGS.isdisjoint(context):
            self._amounts.observe(value, **tags)
        else:  # a record call does not take them as tags
            self._amounts.with_tags(tags).observe(value)

    def operation(self, name: object, /, **context: object) -> Operation:
        """Return an operation, to be used as `with ops.operation("auth") as op:` or as a decorator.

        Its status is `success`; or, if an exception ends it (which always propagates), what the classifier returns: `error`
        with an error counted, `timeout` or `cancelled`. The block may set another: see `Operation`.
        """
        return Operation(self, name, context)

    def _began(self, name: object) -> None:
        if self._in_flight is not None:
            self._in_flight.inc(operation=name)

    def _ended(self, name: object) -> None:
        if self._in_flight is not None:
            self._in_flight.dec(operation=name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._start}operations in {self._registry!r}>"
