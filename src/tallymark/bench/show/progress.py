"""How far a run is, on standard error: a bar on a terminal; elsewhere a line for each benchmark that is finished."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from tallymark.bench.result.result import BenchmarkResult
from tallymark.bench.units import format_count, format_seconds


@contextlib.contextmanager
def progress_bar(shown: bool = True) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function to call with the number done, the total, and the next name. Without Rich it does nothing."""
    if not shown or not has_bar():
        yield lambda done, total, name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total, name: progress.update(task, completed=done, total=total, description=name)


class SlowNotice:
    """Tells of a benchmark that takes longer than the time that was announced for it, while it is being measured.

    Args:
        seconds: how long a benchmark may take before it is told.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._name = ""
        self._timer: threading.Timer | None = None

    def __enter__(self) -> SlowNotice:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def watch(self, name: str) -> None:
        """Begin with a benchmark, or go on with it."""
        if name in ("", self._name):
            return
        self.stop()
        self._name = name
        line = f"{name} takes longer than that, as its op does: it gets the time that it needs"
        self._timer = threading.Timer(self._seconds, tell, (line,))
        self._timer.daemon = True
        with contextlib.suppress(RuntimeError):  # there can be no more threads
            self._timer.start()

    def stop(self) -> None:
        """End with a benchmark."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def has_bar() -> bool:
    """Return True if standard error is a terminal, and Rich is there to draw on it."""
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return False
    return sys.stderr is not None and sys.stderr.isatty()


def tell(line: str) -> None:
    """Write a line to standard error. If nobody reads it, the run goes on."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


def finished_line(done: int, total: int, results: Sequence[BenchmarkResult | None]) -> str:
    """Return a line on a benchmark that is finished: `[3/12] file::name  1.20 µs, 3 allocs`, and both sides of a comparison."""
    name = next(one.name for one in results if one is not None)
    return f"[{done}/{total}] {name}  {' -> '.join(map(_brief, results))}"


def _brief(one: BenchmarkResult | None) -> str:
    if one is None:
        return "none"
    if one.status != "ok":
        return f"{one.status.upper()}{': ' if one.reason else ''}{one.reason}"
    time = [format_seconds(one.time.median)] if one.time else []
    counted = [_many(format_count(one.allocations.allocs), "alloc")] if one.allocations else []
    return ", ".join([*time, *counted]) or "nothing measured"


def found_line(benchmarks: int, files: int, sides: int, seconds: float) -> str:
    """Return a line on what there is to measure: `12 benchmarks in 3 files; about 2 minutes`."""
    on = f", on {sides} sides" if sides > 1 else ""
    return f"{_many(str(benchmarks), 'benchmark')} in {_many(str(files), 'file')}{on}; about {_about(seconds)}"


def _about(seconds: float) -> str:
    if seconds < 90:
        return _many(f"{max(1, round(seconds, -1) if seconds > 10 else round(seconds)):.0f}", "second")
    return _many(f"{seconds / 60:.0f}", "minute") if seconds < 5400 else _many(f"{seconds / 3600:.1f}", "hour")


def _many(count: str, what: str) -> str:
    return f"{count} {what}{'' if count == '1' else 's'}"
