"""Compile all C code with warnings as errors, by gcc and by clang: `python tools/warnings_of_c.py`.

Python's own headers are left out. A compiler that is not installed is left out too, and named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMPILERS = ("gcc", "clang")
FLAGS = ("-std=c11", "-O3", "-fPIC", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror")  # -O3 finds more


def compiles(compiler: str, source: Path) -> bool:
    """Return True if a file compiles without a warning; else the compiler tells why."""
    command = [compiler, *FLAGS, "-isystem", sysconfig.get_path("include"), "-c", str(source), "-o", os.devnull]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Compile everything, and return the exit status."""
    sources = sorted(ROOT.glob("src/**/*.c"))
    status = 0
    for compiler in COMPILERS:
        if shutil.which(compiler) is None:
            print(f"warnings of C code: {compiler} is not installed, and was left out")
            continue
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            clean = list(pool.map(lambda source, by=compiler: compiles(by, source), sources))
        print(f"warnings of C code: {compiler} accepts {sum(clean)} of {len(clean)} files")
        status = status or int(not all(clean))
    return status


if __name__ == "__main__":
    sys.exit(main())
