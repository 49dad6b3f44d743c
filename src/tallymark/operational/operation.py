"""`Operation`: one operation under way, as a context manager."""

from __future__ import annotations

from math import inf
from time import perf_counter

from tallymark.log import logger
from tallymark.operational.classify import Outcome, class_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import ParamSpec, Self, TypeVar

    from tallymark.operational.metrics import OperationalMetrics

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["Operation"]


class Operation:
    """One operation under way: times its `with` block, and records how it ended. As a decorator, one for each call.

    Attributes:
        status: how it ended, if the block sets it; else `"success"`, or the classifier's status of the exception that ends it.
    """

    __slots__ = ("_context", "_failure", "_metrics", "_name", "_start", "status")

    def __init__(self, metrics: OperationalMetrics, name: object, context: dict[str, object]) -> None:
        self._metrics = metrics
        self._name = name
        self._context = context
        self._failure: tuple[object, object] | None = None
        self._start: float | None = None
        self.status: object = None

    def tag(self, /, **tags: object) -> None:
        """Add tags to what is recorded at the end."""
        self._context = self._context | tags

    def fail(self, error_type: object, error_category: object = "") -> None:
        """Have the operation end as an error of this type, without an exception. The last call counts."""
        self._failure = error_type, error_category

    def __enter__(self) -> Self:
        if self._start is not None:
            raise RuntimeError("an operation is entered once; call operation() for each")
        self._metrics._began(self._name)
        self._start = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._start is None or self._start == inf:
            raise RuntimeError("an operation was exited that had not been entered, or had been exited")
        duration = perf_counter() - self._start
        self._start = inf
        self._metrics._ended(self._name)
        try:
            self._record(duration, *self._outcome(error))
        except Exception:
            if error is None:
                raise
            # An error in the tags must not replace the exception that propagates.
            logger().exception("operation %r, which an exception ended, could not be recorded", self._name)

    def _record(self, duration: float, status: object, error_type: object, error_category: object) -> None:
        self._metrics.record_operation(self._name, status, duration, **self._context)
        if error_type is not None and not (isinstance(error_type, str) and not error_type):
            given = () if isinstance(error_category, str) and not error_category else (error_category,)
            self._metrics.record_error(self._name, error_type, *given, **self._context)

    def _outcome(self, error: BaseException | None) -> tuple[object, object, object]:
        """Return status, error type and category. What the block set comes before what the classifier returns."""
        outcome: tuple[object, object, object] = Outcome("success") if error is None else self._classified(error)
        if self._failure is not None:
            outcome = ("error", *self._failure)
        return outcome if self.status is None else (self.status, *outcome[1:])

    def _classified(self, error: BaseException) -> tuple[object, object, object]:
        try:
            status, error_type, error_category = self._metrics.classifier(error)
        except Exception:  # a classifier's own failure must not replace the exception that it classifies
            return Outcome("error", class_name(error), "unclassified")
        return status, error_type, error_category

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Wrap `function` so that each call is such an operation: a coroutine while it is awaited, a generator from its first
        item to its end.

        Raises:
            TypeError: `function` cannot be called.
        """
        from tallymark.engine.decorators import scoped

        return scoped(lambda: Operation(self._metrics, self._name, self._context), function)

    def __repr__(self) -> str:
        state = "to be entered" if self._start is None else "over" if self._start == inf else "under way"
        return f"<Operation {self._name!r}, {state}>"
