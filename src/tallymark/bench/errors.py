"""What the toolkit raises. Each says what is wrong and what to do."""

from __future__ import annotations


class BenchError(Exception):
    """The base of what `tallymark.bench` raises."""


class BenchmarkFileError(BenchError):
    """A benchmark's file, or a benchmark in it, cannot be run as it stands."""


class ResultFileError(BenchError):
    """A result file cannot be read, or is not one."""


class GateError(BenchError):
    """A gate's text cannot be understood."""
