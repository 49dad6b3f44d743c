"""The native engine: the contract of the record path in C11, a file for each noun. `../reference` is its specification."""

from tallymark.engine.lock import has_gil

if not has_gil():  # loading the extension would turn it on, for the whole process
    raise ImportError("it needs the GIL, and this Python runs without it")

from tallymark.engine.native._engine import (  # type: ignore[import-not-found]
    Counter,
    Exposition,
    Family,
    Gauge,
    Histogram,
    Instrument,
    OperationRecorder,
    Shared,  # noqa: F401 - the reference engine has none, so it is not in `__all__`
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
    "difference", "frozen", "name", "number_lines", "observation_lines", "tag_fields", "tag_texts",
]  # fmt: skip

name = "native"
