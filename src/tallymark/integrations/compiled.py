"""The C code of the integrations: what `native/` holds, if the engine in use is the native one and it was built."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tallymark.engine import engine_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.metric.registry import Registry

__all__ = ["LineFields", "clock_in_c", "compiled_for"]

_exchanges: Any = None
if engine_name == "native":  # without a GIL it is not, and loading the extension would turn that on
    with suppress(ImportError):  # it was not built
        from tallymark.integrations import _exchanges  # type: ignore[no-redef]


def compiled_for(registry: Registry) -> Any:
    """Return the module in C for requests that are recorded to a registry; None where that has the reference engine."""
    return _exchanges if registry._engine.name == "native" else None


def clock_in_c(clock: Callable[[], float]) -> Callable[[], float] | None:
    """Return what tells C code of a clock: None if it is `time.perf_counter()`, which C reads without a call."""
    return None if clock is time.perf_counter else clock


if TYPE_CHECKING or _exchanges is None:

    class LineFields:
        """What C code reads of a line."""

        __slots__ = ("begin", "end", "is_stale", "known", "metrics")

else:
    from collections.abc import Coroutine

    LineFields = _exchanges.LineFields
    Coroutine.register(_exchanges.Sending)
