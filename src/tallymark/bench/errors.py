"""The toolkit's errors. Each message says what is wrong and what to do."""

from __future__ import annotations


class BenchError(Exception):
    """The base class of the errors of `tallymark.bench`."""


class BenchmarkFileError(BenchError):
    """A benchmark's file, or a benchmark in it, cannot be run as it stands."""


class ResultFileError(BenchError):
    """A result file cannot be read, or is not one."""


class GateError(BenchError):
    """The text of a gate is not valid."""
