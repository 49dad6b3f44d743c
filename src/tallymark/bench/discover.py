"""Benchmark files: finding them, importing one, and listing what is in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tallymark.bench.benchmark import variants
from tallymark.bench.errors import BenchmarkFileError
from tallymark.bench.names import variant_names

PREFIX = "bench_"


def find_files(paths: Sequence[str]) -> list[Path]:
    """Return the benchmark files that paths name: files as given, and `bench_*.py` anywhere below directories.

    Raises BenchmarkFileError when a path does not exist, or nothing is found.
    """
    found: list[Path] = []
    for path in map(Path, paths or ["."]):
        if path.is_dir():
            below = [one for one in path.rglob(f"{PREFIX}*.py") if not any(part.startswith(".") for part in one.parts[1:])]
            found += sorted(below)
        elif path.is_file():
            found.append(path)
        else:
            raise BenchmarkFileError(f"{path}: no such file or directory")
    if not found:
        where = ", ".join(paths or ["."])
        raise BenchmarkFileError(f"no {PREFIX}*.py in {where}: name a file or a directory that has benchmarks")
    return list(dict.fromkeys(found))


def load_file(path: str) -> ModuleType:
    """Import a benchmark file, with its directory first on the import path, as for a script."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    name = Path(path).stem
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    source = Path(path).read_bytes()
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module


def functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return a module's benchmarks, in the order in which they were defined."""
    return {name: one for name, one in vars(module).items() if name.startswith(PREFIX) and callable(one)}


def listing(module: ModuleType) -> list[dict[str, Any]]:
    """Return what there is to run: a function's name, its line, and the texts of the parameters of each variant."""
    listed = []
    for name, function in functions(module).items():
        line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
        for index, (full, params) in enumerate(variant_names(name, variants(function))):
            listed.append({"function": name, "index": index, "line": line, "params": params, "name": full})
    return listed
