"""`Proc`: what `/proc` tells of processes."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import TypeAlias

    # A number, or "self": the kernel looks that up at each reading, so that a forked child reads of itself.
    Pid: TypeAlias = int | str

__all__ = ["Proc", "Stat", "parse_boot_time", "parse_max_fds", "parse_stat"]


class Stat(NamedTuple):
    """The fields of a `/proc/[pid]/stat` that are used. Ticks are `SC_CLK_TCK` per second; the start is counted from boot."""

    threads: int
    start_ticks: int
    virtual_bytes: int
    resident_pages: int
    cpu_ticks: int

    @property
    def resident_bytes(self) -> int:
        """Memory in RAM."""
        return self.resident_pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        """CPU time, user and system, of all threads."""
        return self.cpu_ticks / os.sysconf("SC_CLK_TCK")

    def start_time(self, boot_time: float) -> float:
        """Return when the process began, in seconds since the epoch."""
        if math.isnan(boot_time):
            raise OSError("the boot time is not known")
        return boot_time + self.start_ticks / os.sysconf("SC_CLK_TCK")


def parse_stat(text: bytes) -> Stat:
    """Parse a `/proc/[pid]/stat`. The program's name comes second, in parentheses, and may itself hold any byte but NUL."""
    fields = text[text.rindex(b")") + 1 :].split()  # from the third field on
    return Stat(int(fields[17]), int(fields[19]), int(fields[20]), int(fields[21]), int(fields[11]) + int(fields[12]))


def parse_boot_time(text: bytes) -> float:
    """Parse the machine's boot time, in seconds since the epoch, from a `/proc/stat`; NaN if it has none."""
    lines = (line.split() for line in text.splitlines())
    return next((float(line[1]) for line in lines if line[:1] == [b"btime"]), math.nan)


def parse_max_fds(text: bytes) -> float:
    """Parse how many files a process may have open from a `/proc/[pid]/limits`: the soft limit, infinite if there is none."""
    name = b"Max open files"
    soft = next(line[len(name) :].split()[0] for line in [*text.splitlines(), name + b" ?"] if line.startswith(name))
    return math.inf if soft == b"unlimited" else int(soft)


class Proc:
    """Reads `/proc`, or another folder like it.

    All methods raise `OSError` for what cannot be read, `ValueError` or `IndexError` for a text of another form.
    """

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def stat(self, pid: Pid = "self") -> Stat:
        """Return the main numbers of a process."""
        return parse_stat(self._read(f"{pid}/stat"))

    def resident_bytes(self, pid: Pid = "self") -> int:
        """Return how much memory of a process is in RAM. It costs a third of what `stat` does."""
        return int(self._read(f"{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def open_fds(self, pid: Pid = "self") -> int:
        """Return how many files a process has open."""
        listing = 1 if pid == "self" else 0  # which has one open itself
        return len(os.listdir(f"{self._root}/{pid}/fd")) - listing

    def max_fds(self, pid: Pid) -> float:
        """Return how many files a process may have open."""
        return parse_max_fds(self._read(f"{pid}/limits"))

    def namespace(self) -> int:
        """Return the number of the namespace that the pid of this process is of; 0 if it is not known."""
        try:
            return os.stat(f"{self._root}/self/ns/pid").st_ino
        except OSError:
            return 0

    def boot_time(self) -> float:
        """Return when the machine was started, in seconds since the epoch; NaN if it is not known."""
        try:
            return parse_boot_time(self._read("stat"))
        except (OSError, ValueError, IndexError):
            return math.nan

    def _read(self, path: str) -> bytes:
        with open(f"{self._root}/{path}", "rb", buffering=0) as file:
            return file.read()
