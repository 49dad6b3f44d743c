"""`Timing`: a `with` block or a function under a timer."""

from __future__ import annotations

from _thread import get_ident
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, Self, TypeVar

    from tallymark.engine.reference.timer import Timer

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["Timing"]


class Timing:
    """Times a `with` block or a function: records on every exit, by exception too, and suppresses no exception.

    One object may be reused, nested in itself, and used by several threads at a time. Tasks of one thread that overlap should
    each call `timer.time()`: with one shared object their counts and their sum are right, but two durations may be swapped.
    """

    __slots__ = ("_starts", "_timer")

    def __init__(self, timer: Timer, /) -> None:
        self._timer = timer
        self._starts: dict[int, list[float]] = {}

    def __enter__(self) -> Self:
        start = perf_counter()
        self._starts.setdefault(get_ident(), []).append(start)
        return self

    def __exit__(self, *exc_info: object) -> None:
        end = perf_counter()
        starts = self._starts.get(get_ident())
        if not starts:  # it may have been entered in another thread
            starts = next(filter(None, list(self._starts.values())), None)
        if not starts:
            raise RuntimeError("a timing was exited that had not been entered")
        self._timer.record(end - starts.pop())

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Return `function`, timed: a coroutine while it is awaited, a generator from its first item to its end.

        Raises:
            TypeError: `function` cannot be called (put the decorator below `@staticmethod` and `@classmethod`).
        """
        from tallymark.engine.decorators import timed

        return timed(self._timer, function, _time_function)

    def __repr__(self) -> str:
        return f"<Timing {self._timer!r}>"


def _time_function(timer: Timer, function: Callable[P, R]) -> Callable[P, R]:
    from functools import wraps

    @wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        start = perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            timer.record(perf_counter() - start)

    return timed
