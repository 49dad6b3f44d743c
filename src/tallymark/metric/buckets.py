"""Bounds of histogram buckets: how to make them, what is valid, and the default ones."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["DURATION_BUCKETS", "SIZE_BUCKETS", "VALUE_BUCKETS", "exponential_buckets", "linear_buckets"]

DURATION_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds, from half a millisecond to half a minute: the default of timers, and of histograms in seconds."""

SIZE_BUCKETS = (64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0)
"""Bytes, from 64 B to 64 MiB, each four times the last: the default of histograms in bytes."""

VALUE_BUCKETS = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0)
"""Plain numbers: the default of other histograms (OpenTelemetry's default bounds)."""

MAX_BOUNDS = 1000
"""More would cost each series 8 kB; a list this long is a mistake."""


def linear_buckets(start: float, width: float, count: int) -> tuple[float, ...]:
    """Return `count` bounds: `start`, and each next one `width` above the last.

    Raises:
        ValueError: `count` is below 1, `width` is not positive, or a bound is not valid.
    """
    _check_count("linear_buckets", count)
    if not width > 0:
        raise ValueError(f"linear_buckets: width must be positive, not {width!r}")
    return _made("linear_buckets", lambda: [start + i * width for i in range(count)])


def exponential_buckets(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Return `count` bounds: `start`, and each next one `factor` times the last.

    Raises:
        ValueError: `count` is below 1, `start` is not positive, `factor` is not above 1, or a bound is too large.
    """
    _check_count("exponential_buckets", count)
    if not start > 0:
        raise ValueError(f"exponential_buckets: start must be positive, not {start!r}")
    if not factor > 1:
        raise ValueError(f"exponential_buckets: factor must be above 1, not {factor!r}")
    return _made("exponential_buckets", lambda: [start * factor**i for i in range(count)])


def default_bounds(unit: str) -> tuple[float, ...]:
    """Return the bounds of a histogram in `unit` that has no bounds of its own."""
    return {"seconds": DURATION_BUCKETS, "bytes": SIZE_BUCKETS}.get(unit, VALUE_BUCKETS)


def check_bounds(owner: str, buckets: Iterable[float]) -> tuple[float, ...]:
    """Return valid bounds as floats, without a trailing `+Inf` (the bucket above the last bound is always there).

    Raises:
        TypeError: `buckets` is not a collection of numbers.
        ValueError: there are none, they do not ascend, or one is not finite. The message names `owner` and the wrong bound.
    """
    if isinstance(buckets, str | bytes):
        raise TypeError(f"{owner}: buckets must be a collection of numbers, not {type(buckets).__name__}")
    try:
        bounds = tuple([_bound(bound) for bound in buckets])
    except TypeError:
        raise TypeError(f"{owner}: buckets must be a collection of numbers") from None
    except OverflowError:
        raise ValueError(f"{owner}: a bound is too large for a double") from None
    if bounds and bounds[-1] == inf:
        bounds = bounds[:-1]
    if not bounds:
        raise ValueError(f"{owner}: buckets must name at least one finite bound")
    if len(bounds) > MAX_BOUNDS:
        raise ValueError(f"{owner}: {len(bounds)} bounds, but a histogram has {MAX_BOUNDS} at most")
    for bound in bounds:
        if not isfinite(bound):
            raise ValueError(f"{owner}: bound {bound!r} is not finite")
    for lower, upper in pairwise(bounds):
        if not lower < upper:
            raise ValueError(f"{owner}: bounds must ascend, but {upper!r} follows {lower!r}")
    return bounds


def check_choice(owner: str, unit: str, buckets: Iterable[float] | None, exponential: bool | None) -> tuple[float, ...] | None:
    """Return the bounds that a program chose: none for exponential buckets; None where it chose nothing.

    Raises:
        TypeError: `exponential` is neither a bool nor None, or as `check_bounds`.
        ValueError: both were chosen, or as `check_bounds`.
    """
    if exponential not in (None, True, False):
        raise TypeError(f"{owner}: exponential must be a bool, not {type(exponential).__name__}")
    if buckets is not None and exponential:
        raise ValueError(f"{owner}: exponential buckets find their bounds themselves: leave out buckets=, or exponential=True")
    if exponential is None:
        return None if buckets is None else check_bounds(owner, buckets)
    return () if exponential else default_bounds(unit) if buckets is None else check_bounds(owner, buckets)


def _made(owner: str, make: Callable[[], list[float]]) -> tuple[float, ...]:
    try:
        bounds = [float(bound) for bound in make()]
    except OverflowError:
        bounds = [inf]
    if inf in bounds:
        raise ValueError(f"{owner}: the bounds are too large for a double")
    return check_bounds(owner, bounds)


def _bound(value: float) -> float:
    if isinstance(value, str | bytes):
        raise TypeError
    return float(value) + 0.0  # -0.0 and 0.0 are one bound, with one text


def _check_count(owner: str, count: int) -> None:
    if not isinstance(count, int):
        raise TypeError(f"{owner}: count must be an int, not {type(count).__name__}")
    if count < 1:
        raise ValueError(f"{owner}: count must be at least 1, not {count}")
