"""Numbers as StatsD servers read them: never with an exponent, which some of them cut off."""

from __future__ import annotations

from functools import lru_cache
from math import nextafter

__all__ = ["LARGEST_PLAIN", "SMALLEST_PLAIN", "number", "rate"]

SMALLEST_PLAIN, LARGEST_PLAIN = 1e-4, 1e16
"""`repr` of what is between them, the second excluded, has no exponent."""


def number(value: float) -> str:
    """Return the shortest text that gives a finite double back, without an exponent and without `.0`."""
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0") if value else "0"
    digits, _, exponent = text.partition("e")
    sign, (whole, _, fraction) = "-" if value < 0 else "", digits.lstrip("-").partition(".")
    power = int(exponent)
    if power > 0:  # the digits are 17 at most, and the power is 16 or more
        return f"{sign}{whole}{fraction.ljust(power, '0')}"
    return f"{sign}0.{'0' * (-power - 1)}{whole}{fraction}"


@lru_cache(maxsize=1024)
def rate(count: int) -> str:
    """Return a sample rate with which one line counts for so many; empty for one.

    Servers divide 1 by it, and some drop what is after the point. So it is the largest double whose reciprocal, as doubles are
    divided, is not below the count.
    """
    if count == 1:
        return ""
    share = 1.0 / count
    while 1.0 / share < count:
        share = nextafter(share, 0.0)
    return f"|@{number(share)}"
