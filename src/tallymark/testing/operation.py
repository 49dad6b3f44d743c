"""`Operation`: the context manager and decorator of `RecordedOperations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from tallymark.engine.decorators import scoped

if TYPE_CHECKING:
    from tallymark.testing.operations import RecordedOperations

__all__ = ["Operation"]

P = ParamSpec("P")
R = TypeVar("R")


class Operation:
    """One operation under way: times its `with` block, and records how it ended. As a decorator, one for each call.

    Attributes:
        status: what to record it as; None leaves it to how it ends.
    """

    __slots__ = ("_context", "_failure", "_name", "_operations", "_start", "status")

    def __init__(self, operations: RecordedOperations, name: object, context: Mapping[str, object]) -> None:
        self._operations = operations
        self._name = name
        self._context = dict(context)
        self._failure: tuple[object, object] | None = None
        self._start: float | None = None
        self.status: object = None

    def tag(self, /, **tags: object) -> None:
        """Add to the context; later values win."""
        self._context |= tags

    def fail(self, error_type: object, error_category: object = "") -> None:
        """Have it end as an error of this type, whatever is raised. The last call counts."""
        self._failure = error_type, error_category

    def __enter__(self) -> Self:
        if self._start is not None:
            raise RuntimeError("an operation is entered once; call operation() for each")
        self._start = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._start is None:
            raise RuntimeError("an operation was left that had not been entered")
        duration = perf_counter() - self._start
        status = "success" if error is None else _status(error)
        if self._failure is None and status == "error":
            self._failure = type(error).__name__, ""
        if self._failure is not None:
            status = "error"
            self._operations.record_error(self._name, *self._failure, **self._context)
        self._operations.record_operation(self._name, status if self.status is None else self.status, duration, **self._context)

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Return `function`, recorded: a coroutine while it is awaited, a generator from its first item to its end.

        Raises:
            TypeError: `function` cannot be called.
        """
        return scoped(lambda: Operation(self._operations, self._name, self._context), function)


def _status(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    # What asks the code to stop is not its failure: asyncio.CancelledError, a generator that is closed, Ctrl-C.
    return "error" if isinstance(error, Exception) else "cancelled"
