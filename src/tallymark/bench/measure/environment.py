"""The interpreter, machine and commit of a run, which decide whether two runs are comparable."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tallymark.bench import allocations
from tallymark.version import __version__


def describe(directory: str | os.PathLike[str] = ".") -> dict[str, Any]:
    """Describe this interpreter, this machine, and the commit of a directory if it is in a git checkout."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": sysconfig.get_config_var("CONFIG_ARGS") or "",
        "compiler": platform.python_compiler(),
        "allocator": os.environ.get("PYTHONMALLOC") or "pymalloc",
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "gc_threshold": list(gc.get_threshold()),
        "allocations": allocations.available() or "counted",
        "objects": allocations.available()
        or ("counted" if allocations.CAN_TRACE_OBJECTS else "objects by type need CPython 3.13"),
        "tallymark": __version__,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "host": _identity("/etc/machine-id") or _hashed(platform.node()),
        "boot": _identity("/proc/sys/kernel/random/boot_id"),
        **_commit(directory),
    }


def _identity(path: str) -> str:
    """Return what tells this machine from others of its type, or this start of its kernel; empty if there is no such file."""
    try:
        return _hashed(Path(path).read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return ""


def _hashed(text: str) -> str:
    import hashlib  # slow to import, and not needed by a process that measures

    return hashlib.sha256(f"tallymark {text}".encode()).hexdigest()[:16] if text else ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _commit(directory: str | os.PathLike[str]) -> dict[str, Any]:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603, S607
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "modified": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": "", "modified": False}
