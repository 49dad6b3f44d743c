"""What counts as a number, and how it becomes the IEEE double that a cell holds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import SupportsFloat, SupportsIndex, TypeAlias

    Number: TypeAlias = SupportsFloat | SupportsIndex

__all__ = ["to_float"]


def to_float(value: object) -> float:
    """Return `value` as a float.

    Raises:
        TypeError: `value` has neither `__float__` nor `__index__` (text has neither).
        Exception: whatever these raise, such as `OverflowError` for a huge int.
    """
    kind = type(value)
    if kind is float or kind is int or hasattr(kind, "__float__") or hasattr(kind, "__index__"):
        return float(value)  # type: ignore[arg-type]
    raise TypeError(f"a number is needed, not {kind.__name__}")
