"""What a document tells of the service, and of the processes that it consists of."""

from __future__ import annotations

import os
import socket
import sys
import time
from math import isnan
from typing import TYPE_CHECKING

from tallymark.processes.proc import Proc
from tallymark.serve.live.json_text import dump, number
from tallymark.version import __version__

if TYPE_CHECKING:
    from typing import Any

    from tallymark.metric.registry import Registry
    from tallymark.processes.proc import Pid, Stat

__all__ = ["Processes", "service"]

_NAME_KEYS = ("service.name", "service_name", "service")


def service(registry: Registry) -> str:
    """Return what is told of the service, as JSON. Its name is a tag of the registry, or in OpenTelemetry's variable."""
    tags = registry._tags
    named = next((tags[key] for key in _NAME_KEYS if tags.get(key)), os.environ.get("OTEL_SERVICE_NAME", ""))
    told = {
        "name": named, "host": socket.gethostname(), "pid": os.getpid(), "python": ".".join(map(str, sys.version_info[:3])),
        "engine": registry._engine.name, "version": __version__,
    }  # fmt: skip
    return dump(told)


class Processes:
    """The processes that share a registry, as far as `/proc` tells of them; else this one."""

    def __init__(self, registry: Registry, proc: Proc | None = None) -> None:
        self._families: Any = registry._families
        self._proc = proc or Proc()
        self._boot_time = self._proc.boot_time()
        self._pid = 0
        self._started: float | None = None  # when the process with that number began

    def text(self) -> str:
        """Return them as JSON."""
        families = self._families
        if not families.is_shared:
            return f"[{self._this()}]"
        namespace = self._proc.namespace()
        told: dict[tuple[int, int], str] = {}
        for _, pid, started, since, of in families.memory.shared.processes():
            if (pid, of) not in told:  # else it has opened the file twice
                found = self._stat(pid) if of in (0, namespace) else None
                is_this = found is not None and found.start_ticks == started
                told[pid, of] = self._told(pid, found if is_this else None, since)
        return f"[{','.join(told.values())}]"

    def _this(self) -> str:
        """Return what is known of this process. When it began is read once."""
        pid = os.getpid()
        if pid != self._pid:
            self._pid, self._started = pid, self._start_time(self._stat("self"))
        try:
            resident = self._proc.resident_bytes()
        except (OSError, ValueError, IndexError):
            resident = None
        return _text(pid, self._started, time.process_time(), resident)

    def _stat(self, pid: Pid) -> Stat | None:
        try:
            return self._proc.stat(pid)
        except (OSError, ValueError, IndexError):  # it ended, is another user's, or there is no /proc
            return None

    def _told(self, pid: int, stat: Stat | None, since: float) -> str:
        """Return what is known of a process; of one that `/proc` does not show here, when it opened the registry."""
        if stat is None:
            return _text(pid, since, None, None)
        return _text(pid, self._start_time(stat, since), stat.cpu_seconds, stat.resident_bytes)

    def _start_time(self, stat: Stat | None, since: float | None = None) -> float | None:
        """Return when a process began, or `since` where that is not known."""
        return since if stat is None or isnan(self._boot_time) else stat.start_time(self._boot_time)


def _text(pid: int, started: float | None, cpu: float | None, resident: int | None) -> str:
    return f'{{"pid":{pid},"started":{number(started)},"cpu":{number(cpu)},"rss":{number(resident)}}}'
