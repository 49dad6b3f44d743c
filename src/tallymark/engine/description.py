"""The `repr` of instruments, the same on both engines."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tallymark.engine.reference import Instrument

__all__ = ["describe", "labelled", "number_text"]


def describe(instrument: Instrument) -> str:
    """Return one line: the metric and its tags, what the series holds, and how many others the metric has below it."""
    shown: Any = instrument
    if hasattr(shown, "value"):
        held = number_text(shown.value)
    else:
        read = shown.snapshot()
        held = f"count={read.count} sum={number_text(read.sum)}"
    others = sum([one is not instrument for one in instrument.series()])
    below = f" and {others} tagged series" if others else ""
    return f"<{type(instrument).__name__} {labelled(instrument.name, instrument.tags)} {held}{below}>"


def labelled(name: str, tags: Mapping[str, str]) -> str:
    """Return a metric's name and tags: `requests{method='GET'}`."""
    shown = ", ".join([f"{key}={value!r}" for key, value in tags.items()])
    return f"{name}{{{shown}}}" if shown else name


def number_text(value: float) -> str:
    """Return a number without a needless fraction: `3`, `0.25`."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)
