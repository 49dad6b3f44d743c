"""Exponential buckets: which bucket a value falls in, and how buckets of one scale become those of a coarser one.

Bucket `i` of a scale holds what is above `base ** i`, up to `base ** (i + 1)`, where `base` is `2 ** 2 ** -scale`. So two
neighbours at one scale, `2 * i` and `2 * i + 1`, are one at the next coarser scale, `i`, and nothing is lost. Source:
OpenTelemetry's data model for metrics, section "ExponentialHistogram".

No logarithm is taken, whose last bit differs from one C library to the next: a double's exponent and mantissa are compared with
bounds that integer arithmetic gives. A bound that is rounded down to a double has the same doubles above it as the exact one.
"""

from __future__ import annotations

from bisect import bisect_right
from math import frexp, inf, isqrt, ldexp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    Buckets: TypeAlias = tuple[int, Sequence[int]]
    """The index of the first bucket, and the observations in that one and those after it."""

__all__ = [
    "MOST_BUCKETS", "NO_BUCKETS", "TOP_SCALE", "as_counts", "combined", "index_of", "rescaled", "steps_to_fit", "upper_bound",
]  # fmt: skip

TOP_SCALE = 8
"""The finest scale, at which a histogram starts. Prometheus has none that is finer; values in one bucket differ by 0.27 %."""

MOST_BUCKETS = 160
"""Of the observations above 0, and as many of those below: at scale -4, this is enough for all doubles."""

NO_BUCKETS: Buckets = (0, ())

_BITS = 52  # of a double's mantissa
_FIXED = 256  # bits after the point
_PER_OCTAVE = 1 << TOP_SCALE
_mantissas: list[int] = []


def _bounds() -> list[int]:
    """Return the bounds between 1 and 2 at the finest scale, rounded down, in units of 2**-52 above 1."""
    if not _mantissas:
        step = 2 << _FIXED  # a fixed-point number, whose errors are far below the distance of any bound from a double
        for _ in range(TOP_SCALE):
            step = isqrt(step << _FIXED)
        bound, found = 1 << _FIXED, []
        for _ in range(_PER_OCTAVE - 1):
            bound = bound * step >> _FIXED
            found.append((bound >> (_FIXED - _BITS)) - (1 << _BITS))
        _mantissas[:] = found
    return _mantissas


def index_of(magnitude: float) -> int:
    """Return the bucket, at the finest scale, of a number above 0."""
    fraction, exponent = frexp(magnitude)  # magnitude == fraction * 2**exponent, and 0.5 <= fraction < 1
    mantissa = int(ldexp(fraction, _BITS + 1)) - (1 << _BITS)
    first = (exponent - 1) * _PER_OCTAVE
    return first - 1 if mantissa == 0 else first + bisect_right(_bounds(), mantissa - 1)


def upper_bound(scale: int, index: int) -> float:
    """Return the greatest double in a bucket: its upper bound, rounded down. That of the bucket below is its lower bound."""
    if scale > TOP_SCALE:  # from elsewhere
        return _power(index + 1, scale)
    exponent, part = divmod(((index + 1) << (TOP_SCALE - scale)), _PER_OCTAVE)
    mantissa = (1 << _BITS) + (_bounds()[part - 1] if part else 0)
    if exponent > 1023:
        return inf
    lost = max(0, -1022 - exponent)  # bits that a subnormal number does not have
    return ldexp(mantissa >> lost, exponent - _BITS + lost)


def _power(index: int, scale: int) -> float:
    try:
        return float(2.0 ** (index * 2.0**-scale))
    except OverflowError:
        return inf


def rescaled(buckets: Buckets, by: int) -> Buckets:
    """Return the buckets of a scale that is coarser `by` so many steps."""
    first, counts = buckets
    if not by or not counts:
        return buckets
    start = first >> by
    found = [0] * (((first + len(counts) - 1) >> by) - start + 1)
    for index, count in enumerate(counts, first):
        found[(index >> by) - start] += count
    return start, tuple(found)


def steps_to_fit(every: Iterable[Buckets]) -> int:
    """Return by how many steps buckets of one scale must become coarser, so that together they are `MOST_BUCKETS` at most."""
    ends = [(first, first + len(counts) - 1) for first, counts in every if counts]
    if not ends:
        return 0
    low, high = min([first for first, _ in ends]), max([last for _, last in ends])
    by = 0
    while (high >> by) - (low >> by) >= MOST_BUCKETS:
        by += 1
    return by


def combined(every: Iterable[Buckets]) -> Buckets:
    """Return the sum of buckets of one scale, without empty ones at the ends."""
    return as_counts([(index, count) for first, counts in every for index, count in enumerate(counts, first)])


def as_counts(pairs: Iterable[tuple[int, int]]) -> Buckets:
    """Return the buckets that have these indexes and counts, without empty ones at the ends. Those of one index add up."""
    found: dict[int, int] = {}
    for index, count in pairs:
        if count:
            found[index] = found.get(index, 0) + count
    present = [index for index, count in found.items() if count]
    if not present:
        return NO_BUCKETS
    first = min(present)
    return first, tuple([found.get(index, 0) for index in range(first, max(present) + 1)])
