"""Run the tests of what is in C on a build with AddressSanitizer and UndefinedBehaviorSanitizer: `python tools/sanitize.py`.

The build goes into a copy of the tree, so that the one in use stays as it is. Warnings of the compiler are errors here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"


def runtime(library: str) -> str:
    """Return the path of a sanitizer's runtime, which must be loaded before Python."""
    found = subprocess.run(["gcc", f"-print-file-name={library}"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def main() -> int:
    """Build, run the tests, and return the exit status."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "tallymark"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "*.so", "build", "*.egg-info"))
        flags = f"-g -O1 -Werror -DMAX_SPARES=1 {SANITIZERS}"
        build = os.environ | {"TALLYMARK_CFLAGS": flags, "TALLYMARK_LDFLAGS": SANITIZERS, "CC": "gcc"}
        subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=copy, env=build, check=True)
        if not list(copy.glob("src/tallymark/engine/native/*.so")):
            print("the native engine was not built; see the warnings above", file=sys.stderr)
            return 1
        checked = os.environ | {
            "LD_PRELOAD": f"{runtime('libasan.so')} {runtime('libubsan.so')}",
            "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter itself keeps memory to the end; leaks have tests of their own
            "TALLYMARK_KILLS": "50",
            "PYTHONMALLOC": "malloc",  # so that each object has its own guarded block
            "PYTHONPATH": str(copy / "src"),
        }
        ended = [subprocess.run(tests, cwd=copy, env=checked, check=False).returncode for tests in suites(sys.argv[1:])]
        return int(any(ended))


def suites(arguments: list[str]) -> Iterator[list[str]]:
    """Yield the commands that run the tests. Those of processes run by themselves, since a process that grew forks slowly.

    This build keeps almost no object for reuse, so that a use after free is seen. Omitted: tests that count allocations or
    leaks, or compare times, whose numbers are those of a plain build; models, which run nothing in C; and tests of third-party
    servers, which add nothing to our own workers'.
    """
    counting = ["tests/engine/test_allocations.py", "tests/engine/test_leaks.py", "tests/processes/test_costs.py"]
    models = ("model", "buckets_model", "exemplar_model")
    servers = ("celery", "example_services", "gunicorn", "gunicorn_page", "uvicorn", "uvicorn_page")
    others = [f"tests/processes/test_{one}.py" for one in models + servers]
    workers = ["--numprocesses", "auto", "--dist", "worksteal"]
    pytest = [sys.executable, "-m", "pytest", "-q", *workers, *(f"--ignore={path}" for path in counting + others), *arguments]
    native = ["-k", "not [reference"]  # of a test that runs on each engine, the run on the one that is in C
    yield [*pytest, *native, "tests/engine", "tests/threads", "tests/bench/test_samples.py", "tests/bench/test_stacks.py"]
    yield [*pytest, "-m", "not slow", "tests/bench/test_instructions.py"]
    http = ("asgi", "attacks", "exemplars", "in_c", "objects", "reentrancy", "routes", "sends", "wsgi")
    yield [*pytest, "-m", "not slow", *(f"tests/integrations/test_http_{one}.py" for one in http)]
    yield [*pytest, "--timeout=300", "--deselect=tests/processes/test_shared.py::test_nothing_is_allocated", "tests/processes"]


if __name__ == "__main__":
    sys.exit(main())
