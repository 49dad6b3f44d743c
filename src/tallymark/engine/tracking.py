"""What `track_in_progress` and `count_exceptions` return: context managers that are decorators too."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import ParamSpec, Self, TypeVar

    from tallymark.engine.reference import Counter, Gauge

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["ExceptionCount", "InProgress"]


class InProgress:
    """Adds 1 to a gauge on entry and subtracts it on exit. One object may be reused, nested, and used by several threads."""

    __slots__ = ("_gauge",)

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def __enter__(self) -> Self:
        self._gauge.inc()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._gauge.dec()

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Return `function`, tracked: a coroutine while it is awaited, a generator from its first item to its end.

        Raises:
            TypeError: `function` cannot be called.
        """
        from tallymark.engine.decorators import scoped

        return scoped(lambda: self, function)

    def __repr__(self) -> str:
        return f"<InProgress {self._gauge!r}>"


class ExceptionCount:
    """Adds 1 to a counter for each exception that ends the block, and suppresses none. One object may be reused.

    Raises:
        TypeError: one of `exceptions` is not an exception class.
    """

    __slots__ = ("_counter", "_exceptions")

    def __init__(self, counter: Counter, exceptions: tuple[type[BaseException], ...]) -> None:
        for one in exceptions:
            if not (isinstance(one, type) and issubclass(one, BaseException)):
                raise TypeError(
                    f"count_exceptions() takes exception classes, as in count_exceptions(KeyError, OSError), not {one!r}"
                )
        self._counter = counter
        self._exceptions = exceptions or (Exception,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, self._exceptions):
            self._counter.inc()

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Return `function`, watched: a coroutine while it is awaited, a generator from its first item to its end.

        Raises:
            TypeError: `function` cannot be called.
        """
        from tallymark.engine.decorators import scoped

        return scoped(lambda: self, function)

    def __repr__(self) -> str:
        return f"<ExceptionCount of {', '.join([one.__name__ for one in self._exceptions])} in {self._counter!r}>"
