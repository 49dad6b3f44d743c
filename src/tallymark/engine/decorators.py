"""Run functions within a context manager: plain functions, coroutines, generators and async generators.

`contextlib.ContextDecorator` does this for plain functions alone. For the others, it would end when the coroutine or
generator is made, before any of its work.
"""

from __future__ import annotations

from functools import partial, wraps
from inspect import CO_ITERABLE_COROUTINE, isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction, ismethod
from types import coroutine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager
    from typing import Any, ParamSpec, TypeAlias, TypeVar

    from tallymark.engine.reference import Timer

    P = ParamSpec("P")
    R = TypeVar("R")
    Scope: TypeAlias = Callable[[], AbstractContextManager[Any]]

__all__ = ["scoped", "timed"]


def scoped(
    scope: Scope, function: Callable[P, R], plain: Callable[[Callable[P, R]], Callable[P, R]] | None = None
) -> Callable[P, R]:
    """Wrap `function` so that each call runs within a `scope()`: a coroutine while it is awaited, a generator from its first
    item to its end. `plain`, if given, wraps a plain function instead.

    Raises:
        TypeError: `function` cannot be called.
    """
    if isinstance(function, (staticmethod, classmethod)) or not callable(function):
        raise TypeError(
            f"only functions can be decorated, not {type(function).__name__} (decorate below @staticmethod and @classmethod)"
        )
    called = type(function).__call__  # an object whose `__call__` is async is wrapped as async
    for is_kind, wrap in _WRAPPERS:
        if is_kind(function) or is_kind(called):
            wrapped: Callable[P, R] = wrap(scope, function)
            return wrapped
    return plain(function) if plain is not None else _function(scope, function)


def timed(timer: Timer, function: Callable[P, R], plain: Callable[[Timer, Callable[P, R]], Callable[P, R]]) -> Callable[P, R]:
    """Return `function`, timed by `timer`. `plain(timer, function)` wraps a plain function."""
    return scoped(timer.time, function, partial(plain, timer))


def _function(scope: Scope, function: Callable[P, R]) -> Callable[P, R]:
    @wraps(function)
    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        with scope():
            return function(*args, **kwargs)

    return within


def _coroutine(scope: Scope, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def within(*args: Any, **kwargs: Any) -> Any:
        with scope():
            return await function(*args, **kwargs)

    return within


def _generator(scope: Scope, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def within(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with scope():
            return (yield from function(*args, **kwargs))

    return within


def _generator_coroutine(scope: Scope, function: Callable[..., Any]) -> Callable[..., Any]:
    """As `_generator`; what it returns can be awaited too."""
    return coroutine(_generator(scope, function))


def _is_generator_coroutine(function: object) -> bool:
    """Return True for a generator function that `types.coroutine` made awaitable."""
    while isinstance(function, partial):
        function = function.func
    function = function.__func__ if ismethod(function) else function
    return isfunction(function) and bool(function.__code__.co_flags & CO_ITERABLE_COROUTINE)


def _async_generator(scope: Scope, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def within(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with scope():
            inner = function(*args, **kwargs)
            step = anext(inner)
            try:
                while True:
                    item = await step
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        step = inner.athrow(error)
                    else:
                        step = inner.asend(sent)
            except StopAsyncIteration:
                return
            finally:
                await inner.aclose()

    return within


_WRAPPERS: tuple[tuple[Callable[[object], bool], Callable[[Scope, Callable[..., Any]], Any]], ...] = (
    (isasyncgenfunction, _async_generator),
    (iscoroutinefunction, _coroutine),
    (_is_generator_coroutine, _generator_coroutine),  # is a generator function too
    (isgeneratorfunction, _generator),
)
