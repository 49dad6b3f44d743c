"""What a benchmark is written with: `def bench_name(b): setup; for _ in b.loop(): op`."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from tallymark.bench.errors import BenchmarkFileError

__all__ = ["Benchmark", "Pass", "Skipped", "parametrize", "variants"]

F = TypeVar("F", bound=Callable[..., Any])


class Skipped(Exception):  # noqa: N818  # not an error
    """Raised by `b.skip`, to end the benchmark."""


class Pass(Protocol):
    """One way to run a loop: how many ops, and what is read between them."""

    def batches(self) -> Iterator[Iterable[None]]:
        """Yield the iterations of each batch. Code around a `yield` runs right before and right after the batch's ops."""
        ...


class Benchmark:
    """The `b` of a benchmark: its loop, and what it reports about itself.

    Attributes:
        bytes_processed: bytes that one op works on, to show a throughput beside the time; None for no throughput.
    """

    def __init__(self, measured: Pass) -> None:
        self.bytes_processed: int | None = None
        self.looped = False
        self.finished = False
        self._pass = measured

    def loop(self) -> Iterator[None]:
        """Return the iterations to run the op in. Only ops are measured, not the code before and after the loop.

        An iteration costs as much as one of `itertools.repeat`: between two ops no Python code runs, and nothing is
        allocated. Raises BenchmarkFileError when it is called twice.
        """
        if self.looped:
            raise BenchmarkFileError("loops twice: a benchmark has one b.loop(); write two benchmarks")
        self.looped = True
        return itertools.chain.from_iterable(self._batches())

    def _batches(self) -> Iterator[Iterable[None]]:
        yield from self._pass.batches()
        self.finished = True

    def skip(self, reason: str = "") -> None:
        """End the benchmark here. It is reported as skipped, with the reason."""
        raise Skipped(reason)


def parametrize(**values: Iterable[Any]) -> Callable[[F], F]:
    """Run a benchmark once for each combination of values, which it gets as keyword arguments.

    @parametrize(size=[10, 1000])
    def bench_encode(b, size): ...

    A value may be anything. In a benchmark's name, a function or a class stands as its name; other objects as their texts,
    without addresses.
    """
    names = list(values)
    combinations = [dict(zip(names, one, strict=True)) for one in itertools.product(*map(_in_order, values.values()))]
    if not combinations:
        raise BenchmarkFileError("parametrize: a parameter has no values; give each at least one")

    def mark(function: F) -> F:
        function.__bench_params__ = combinations  # type: ignore[attr-defined]
        return function

    return mark


def _in_order(values: Iterable[Any]) -> list[Any]:
    """Return values as a list. A set has another order in each process: it is sorted by the texts of its items."""
    if isinstance(values, set | frozenset):
        from tallymark.bench.names import text_of

        return sorted(values, key=text_of)
    return list(values)


def variants(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return the keyword arguments of each run of a benchmark: one empty dict without `parametrize`."""
    return getattr(function, "__bench_params__", None) or [{}]


def run_once(function: Callable[..., Any], params: dict[str, Any], measured: Pass) -> Benchmark:
    """Run a benchmark through one pass. Raises BenchmarkFileError if it never loops, leaves its loop early, or is not plain."""
    b = Benchmark(measured)
    _check_plain(function(b, **params))
    if not b.looped:
        raise BenchmarkFileError("never loops: it needs `for _ in b.loop():` around the op")
    if not b.finished:
        raise BenchmarkFileError("leaves its loop early: remove the break or return inside `for _ in b.loop():`")
    return b


def _check_plain(returned: object) -> None:
    """Raise BenchmarkFileError if a call only made a coroutine or a generator, whose body did not run."""
    if isinstance(returned, types.AsyncGeneratorType):
        raise BenchmarkFileError("is an async generator: write a plain function, without `yield`")
    if isinstance(returned, types.CoroutineType):
        returned.close()
        raise BenchmarkFileError("is a coroutine: write a plain function, and call asyncio.run() or a loop of your own in it")
    if isinstance(returned, types.GeneratorType):
        raise BenchmarkFileError("is a generator: write a plain function, without `yield`")
