"""What can count the instructions of a thread: the processor's own counter, or callgrind, which runs the whole process.

Both count instructions in user space alone, those of the thread that asks, between two calls: `start()` and `stop()`. The
processor's counter costs nothing, but most virtual machines have none. Callgrind runs everywhere, and repeats to the
instruction, but a process that it runs is 50 times slower while it counts.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from typing import Any, Protocol

from tallymark.bench.errors import BenchError

_perf: Any = None
_missing = ""
try:
    from tallymark.bench import _perf  # type: ignore[no-redef]
except ImportError as _error:
    _missing = f"the extension tallymark.bench._perf was not built: install a C compiler and reinstall ({_error})"

__all__ = ["REMEDY", "Callgrind", "Counter", "ProcessorCounter", "choose_counter", "open_counter"]

REMEDY = "install Valgrind, which counts them anywhere: `apt-get install valgrind`"

#: Why `perf_event_open` may say no, by errno (its manual page).
_REFUSALS = {
    errno.ENOENT: "this machine offers no counter of instructions, as most virtual machines do not",
    errno.EACCES: "the system forbids it: set /proc/sys/kernel/perf_event_paranoid to 2 or less",
    errno.EPERM: "the system forbids it: a container needs the capability CAP_PERFMON, or a seccomp profile that allows it",
    errno.ENOSYS: "only Linux, with a kernel that has perf events, can",
    errno.EOPNOTSUPP: "this processor cannot count user space alone",
}


class Counter(Protocol):
    """Counts the instructions of this thread, in user space, from `start()` to `stop()`."""

    name: str

    def start(self) -> None: ...

    def stop(self) -> int: ...

    def pause(self) -> None:
        """Let what follows run fast; it is not counted. The next `resume()` ends this."""

    def resume(self) -> None: ...


class ProcessorCounter:
    """The processor's counter.

    Raises OSError where there is none. `read` is for tests; it returns (instructions, ns enabled, ns running).
    """

    name = "perf"

    def __init__(self, read: Callable[[], tuple[int, int, int]] | None = None) -> None:
        self._read: Callable[[], tuple[int, int, int]] = read or _perf.Counter().read
        self._began = (0, 0, 0)

    def start(self) -> None:
        self._began = self._read()

    def stop(self) -> int:
        """Return the instructions since `start()`. Raises BenchError if the counter was shared meanwhile."""
        ended = self._read()
        count, enabled, running = (ended[i] - self._began[i] for i in range(3))
        if running < enabled:
            raise BenchError(
                f"the processor's counter of instructions counted {running} of {enabled} ns, as other programs use the "
                "counters too: end them (perf, a profiler, the kernel's NMI watchdog)"
            )
        return count

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


class Callgrind:
    """Callgrind, in a process that runs under it. It starts paused.

    Args:
        stem: `--callgrind-out-file` of the process: each count is read from the next of these files, and removes it.
    """

    name = "callgrind"

    def __init__(self, stem: str) -> None:
        if _perf is None or not _perf.on_valgrind():
            raise BenchError(_missing or "this process does not run under Valgrind")
        self._stem = stem
        self._dumps = 0

    def start(self) -> None:
        _perf.zero_stats()

    def stop(self) -> int:
        """Return the instructions since `start()`. Raises BenchError if callgrind did not write them."""
        _perf.dump_stats()
        self._dumps += 1
        path = f"{self._stem}.{self._dumps}-01"  # a file for each thread: the benchmark runs in the first
        try:
            return _read_summary(path)
        except (OSError, ValueError) as error:
            raise BenchError(f"callgrind wrote no count that can be read: {path}: {error}") from None

    def pause(self) -> None:
        _perf.stop_instrumentation()

    def resume(self) -> None:
        _perf.start_instrumentation()


def _read_summary(path: str) -> int:
    """Return what a file of callgrind's says that was counted, and remove the file: some are of a megabyte.

    `summary:` stands at the top (Valgrind's manual, "Callgrind Format Specification"). `totals:`, at the end, includes
    functions that began before the counting.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        head = os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
    os.unlink(path)
    return int(head.split(b"\nsummary: ", 1)[1].split(b"\n", 1)[0]) if b"\nsummary: " in head else _fail()


def _fail() -> int:
    raise ValueError("it has no summary")


def open_counter(name: str, stem: str = "") -> Counter:
    """Return the counter of a name, as `choose_counter` gives it. Raises BenchError, and OSError, where it cannot count."""
    return Callgrind(stem) if name == "callgrind" else ProcessorCounter()


def choose_counter(wanted: str) -> tuple[str, str]:
    """Return the name of the counter to use here, or an empty string, and why the others cannot be used.

    Args:
        wanted: `auto` for the processor's counter if there is one; `count` for callgrind if there is none; `callgrind`.
    """
    refused = "" if wanted == "callgrind" else _why_no_processor_counter()
    if wanted != "callgrind" and not refused:
        return "perf", ""
    if wanted == "auto":
        return "", refused
    valgrind = _why_no_callgrind()
    return ("", "; ".join(filter(None, (refused, valgrind)))) if valgrind else ("callgrind", refused)


def _why_no_processor_counter() -> str:
    if _perf is None:
        return _missing
    try:
        _perf.Counter().close()
    except OSError as error:
        why = _REFUSALS.get(error.errno or 0, error.strerror or str(error))
        return f"the processor's counter of instructions cannot be read ({errno.errorcode.get(error.errno or 0, '?')}): {why}"
    return ""


def _why_no_callgrind() -> str:
    if _perf is None:
        return _missing
    if not _perf.CAN_ASK_VALGRIND:
        return "callgrind is used on Linux alone, on x86-64 and aarch64"
    return "" if shutil.which("valgrind") else REMEDY
