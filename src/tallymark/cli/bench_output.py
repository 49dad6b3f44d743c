"""What `tallymark bench` writes: how far it is and results as they come, and files at its end."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from tallymark.bench.errors import BenchError
from tallymark.bench.measure.interrupt import held
from tallymark.bench.measure.session import Session
from tallymark.bench.result.result import BenchmarkResult, RunResult
from tallymark.bench.result.writer import RunWriter
from tallymark.bench.show.progress import SlowNotice, finished_line, found_line, has_bar, progress_bar, tell

__all__ = ["delayed", "measured", "prepare_output", "write"]


def prepare_output() -> None:
    """Let standard output show any name, and open what is closed of the first three descriptors.

    A file that got one of their numbers would become a worker's output.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def measured(session: Session, options: argparse.Namespace, outputs: Sequence[str]) -> list[RunResult]:
    """Measure, tell how far it is, and write each benchmark's results when it is finished."""
    runs = session.runs
    tell(found_line(len(session.names), len(session.files), len(runs), session.seconds))
    for file in session.without:
        tell(f"{file} defines no benchmark: one is a function `bench_...(b)`")
    writers = [RunWriter(output, run) for output, run in zip(outputs, runs, strict=bool(outputs))]
    count = itertools.count(1)

    slow = SlowNotice(2 * session.seconds / max(1, len(session.names)))

    def finished(results: Sequence[BenchmarkResult | None]) -> None:
        slow.stop()
        options.measured = True
        for writer, result in zip(writers, results, strict=bool(writers)):
            if result is not None:
                with held(), contextlib.suppress(OSError):  # told at the end, if it is still so
                    writer.add(result)
        if not bar:
            tell(finished_line(next(count), len(session.names), results))

    with progress_bar() as show, slow:
        bar = has_bar()

        def progress(done: int, total: int, name: str) -> None:
            slow.watch(name.rpartition(": ")[0])
            show(done, total, name)

        return session.measure(progress=progress, finished=finished, one_by_one=True)


@contextlib.contextmanager
def delayed() -> Iterator[list[str]]:
    """Collect what could not be written, and raise BenchError with it at the end: the rest is written and shown before."""
    errors: list[str] = []
    yield errors
    if errors:
        raise BenchError("; ".join(errors))


def write(errors: list[str], path: str | None, into: Callable[[str], None]) -> None:
    """Write a file that was asked for. What goes wrong is added to the errors."""
    if path:
        try:
            into(path)
        except OSError as error:
            errors.append(f"{path}: cannot be written: {error.strerror or error}")
