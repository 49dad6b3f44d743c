"""Fuzz the file that processes share, as a hostile owner would change it: `python tools/fuzz`. Needs clang.

    TALLYMARK_FUZZ_SECONDS=60 python tools/fuzz     # for this long, instead of ten minutes
    python tools/fuzz build/fuzz/crash-0123         # one input again, with the report of what it breaks

The program goes to `build/fuzz`, with the inputs that reached new code, and those that broke something.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NATIVE = ROOT / "src" / "tallymark" / "engine" / "native"
BUILD = ROOT / "build" / "fuzz"
CLANG = os.environ.get("CLANG", "clang")
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]
# Little optimised, so that two reads in the source stay two. One spare object is kept: so a use after free is seen.
TESTED = [*SANITIZERS, "-O1", "-fsanitize-coverage=trace-loads", f"-fsanitize-coverage-ignorelist={HERE}/slow.txt"]
TESTED += ["-DMAX_SPARES=1"]
HARNESS = ["-O2", "-Wextra", f"-I{NATIVE}"]
WRAPPED = ["-Wl,--wrap=pread", "-Wl,--wrap=mmap", "-Wl,--wrap=munmap"]


def compiled(source: Path) -> Path:
    """Compile one file; return the object."""
    flags = HARNESS if source.parent == HERE else TESTED
    target = BUILD / f"{source.parent.name}-{source.stem}.o"
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run([CLANG, "-std=c11", "-g", "-Wall", "-c", *flags, include, source, "-o", target], check=True)
    return target


def python_to_link() -> list[str]:
    """Return the flags that link this Python."""
    library, version = str(sysconfig.get_config_var("LIBDIR")), sysconfig.get_config_var("LDVERSION")
    needed = " ".join(str(sysconfig.get_config_var(name) or "") for name in ("LIBS", "SYSLIBS", "LINKFORSHARED"))
    return [f"-L{library}", f"-Wl,-rpath,{library}", f"-lpython{version}", *needed.split()]


def build() -> Path:
    """Build the program; return its path."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, [*sorted(NATIVE.glob("*.c")), *sorted(HERE.glob("*.c"))]))
    program = BUILD / "shared_file"
    subprocess.run([CLANG, *SANITIZERS, *WRAPPED, *objects, *python_to_link(), "-o", program], check=True)
    return program


def environment() -> dict[str, str]:
    """Return what the program needs: real files, Python, and the sanitizers' settings."""
    files = sorted((BUILD / "files").iterdir())
    return os.environ | {
        "FUZZ_FILES": ":".join(map(str, files)),
        "PYTHONHOME": sys.base_prefix,
        "PYTHONPATH": f"{ROOT / 'src'}:{HERE}",
        "PYTHONMALLOC": "malloc",  # so that each object has its own guarded block
        "PYTHONHASHSEED": "0",
        "TALLYMARK_ENGINE": "native",
        # The interpreter itself keeps memory to the end.
        "ASAN_OPTIONS": "detect_leaks=0:handle_abort=1:malloc_context_size=4:quarantine_size_mb=16",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def main() -> int:
    """Build, make real files, and fuzz, or run the inputs that are named; return the exit status."""
    if shutil.which(CLANG) is None:
        print(f"{CLANG} is not here, which builds the fuzzer: apt-get install clang", file=sys.stderr)
        return 1
    program = build()
    files, corpus = BUILD / "files", BUILD / "corpus"
    for directory in (files, corpus):
        directory.mkdir(exist_ok=True)
    make = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, HERE / "originals.py", files, corpus], env=make, check=True)
    limits = ["-timeout=10", "-rss_limit_mb=2048"]
    if sys.argv[1:]:
        return subprocess.run([program, *limits, *sys.argv[1:]], env=environment(), check=False).returncode
    seconds = os.environ.get("TALLYMARK_FUZZ_SECONDS", "600")
    rules = [
        f"-max_total_time={seconds}",
        "-max_len=392",
        "-len_control=0",
        f"-artifact_prefix={BUILD}/",
        "-print_final_stats=1",
    ]
    done = subprocess.run([program, corpus, *limits, *rules], env=environment(), check=False)
    if done.returncode != 0:
        print("to run the input that is named above again: python tools/fuzz INPUT", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
