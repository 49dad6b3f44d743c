"""The record path. Only this module chooses an engine.

`native` (C11) is used where it was built, else `reference` (pure Python). The environment variable `TALLYMARK_ENGINE` forces
one of them. Where CPython runs without a GIL, `reference` is used: `native` relies on the GIL, and never turns it on.
"""

from __future__ import annotations

import os

from tallymark.engine.lock import has_gil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from tallymark.engine.number import Number as Number
    from tallymark.engine.reference import (
        Counter,
        Exposition,
        Family,
        Gauge,
        Histogram,
        Instrument,
        OperationRecorder,
        TagSet,
        Timer,
        Timing,
        difference,
        frozen,
        number_lines,
        observation_lines,
        tag_fields,
        tag_texts,
    )

__all__ = [
    "Counter", "Exposition", "Family", "Gauge", "Histogram", "Instrument", "OperationRecorder", "TagSet", "Timer", "Timing",
    "difference", "engine_name", "frozen", "load_engine", "number_lines", "observation_lines", "tag_fields", "tag_texts",
]  # fmt: skip

_ENGINES = ("native", "reference")

_BUILD_IT = (
    "It is compiled when Tallymark is installed: install a C compiler and Python's headers (on Debian: gcc and python3-dev),"
    " then `pip install --force-reinstall --no-cache-dir` Tallymark from the same source"
)
_TURN_IT_ON = "Start Python with PYTHON_GIL=1, or with -X gil=1"


def load_engine(name: str | None = None) -> Any:
    """Return the module of an engine: by default, the one in use.

    Raises:
        ValueError: there is no engine of that name.
        ImportError: the native engine is not built here, or there is no GIL.
    """
    if name is None:
        return _engine
    if name not in _ENGINES:
        raise ValueError(f"no engine is called {name!r}; there are {' and '.join(map(repr, _ENGINES))}")
    try:
        return _import(name)
    except ImportError as error:
        raise ImportError(
            f"Tallymark's {name} engine cannot be loaded ({error}). {_BUILD_IT if has_gil() else _TURN_IT_ON}. Or unset"
            " TALLYMARK_ENGINE, to use the reference engine."
        ) from error


def _import(name: str) -> ModuleType:
    if name == "native":
        from tallymark.engine import native

        return native
    from tallymark.engine import reference

    return reference


def _choose() -> ModuleType:
    forced = os.environ.get("TALLYMARK_ENGINE", "")
    if forced:
        if forced not in _ENGINES:
            raise ImportError(f"TALLYMARK_ENGINE is {forced!r}, but it must be {' or '.join(map(repr, _ENGINES))}, or not set")
        module: ModuleType = load_engine(forced)
        return module
    if not has_gil():  # loading the native engine would turn it on, for the whole process
        return _import("reference")
    try:
        return _import("native")
    except ImportError as error:
        from tallymark.log import logger

        logger().warning(
            "the native engine is not built here, so a record takes 10 to 25 times longer (%s)."
            " Set TALLYMARK_ENGINE=native to see how to build it, or TALLYMARK_ENGINE=reference to accept this.", error,
        )  # fmt: skip
        return _import("reference")


_engine: Any = _choose()

engine_name: str = _engine.name
"""The engine in use."""

if not TYPE_CHECKING:
    Counter = _engine.Counter
    Exposition = _engine.Exposition
    Family = _engine.Family
    Gauge = _engine.Gauge
    Histogram = _engine.Histogram
    Instrument = _engine.Instrument
    OperationRecorder = _engine.OperationRecorder
    TagSet = _engine.TagSet
    Timer = _engine.Timer
    Timing = _engine.Timing
    difference = _engine.difference
    frozen = _engine.frozen
    number_lines = _engine.number_lines
    observation_lines = _engine.observation_lines
    tag_fields = _engine.tag_fields
    tag_texts = _engine.tag_texts
