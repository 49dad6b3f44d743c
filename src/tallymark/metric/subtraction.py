"""How far a number moved, whatever doubles there are."""

from __future__ import annotations

__all__ = ["minus", "odd"]


def minus(now: float, then: float) -> float:
    """Return how far a number moved: not at all, from an infinity to the same one."""
    moved = now - then
    return moved + 0.0 if moved == moved else odd(now, then)  # to add 0 makes 0 of -0


def odd(now: float, then: float) -> float:
    """Return the difference of numbers where subtraction gives none: two infinities, or what is and was not a number."""
    return 0.0 if now == then or (now != now and then != then) else now - then
