"""Which engine is used: the one in `TALLYMARK_ENGINE`, and what happens if the native one cannot be loaded.

The choice is made at import, so each test starts its own Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import tallymark as tm
from tallymark.engine import engine_name, load_engine
from tallymark.engine.lock import has_gil

PACKAGE = Path(tm.__file__).parent
needs_gil = pytest.mark.skipif(not has_gil(), reason="the native engine needs the GIL")

WITHOUT_GIL = "import sys; sys._is_gil_enabled = lambda: False\n"
NOT_LOADED = "assert not [name for name in sys.modules if name.endswith(('._engine', '._allocs'))]\n"
WITHOUT_NATIVE = "import sys; sys.modules['tallymark.engine.native._engine'] = None\n"
COUNT = """
import tallymark as tm
registry = tm.Registry()
registry.counter("n").inc(2, a="1")
assert registry.snapshot().find("n", a="1").value == 2
tm.counter("m").inc()
print(tm.engine_name, type(registry.counter("n")).__module__.split(".")[2], type(tm.TagSet()).__module__.split(".")[2])
"""


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


def run(code: str, engine: str | None = None, path: Path | None = None) -> Run:
    """Run some code in a new Python, with warnings as errors."""
    env = {key: value for key, value in os.environ.items() if key not in ("TALLYMARK_ENGINE", "PYTHONPATH")}
    env["PYTHONPATH"] = str(path or PACKAGE.parent)
    if engine is not None:
        env["TALLYMARK_ENGINE"] = engine
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    return Run(done.returncode, done.stdout.strip(), done.stderr.strip())


@pytest.fixture(scope="module")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is installed where there is no compiler; the directory that it is in."""
    path = tmp_path_factory.mktemp("unbuilt")
    shutil.copytree(PACKAGE, path / "tallymark", ignore=shutil.ignore_patterns("*.so", "*.pyd", "*.c", "*.h", "__pycache__"))
    return path


def names_the_remedy(message: str) -> bool:
    return all(part in message for part in ("native engine cannot be loaded", "C compiler", "pip install", "TALLYMARK_ENGINE"))


@pytest.mark.parametrize("name", [pytest.param("native", marks=needs_gil), "reference"])
def test_the_variable_forces_an_engine(name: str) -> None:
    assert run(COUNT, name) == Run(0, f"{name} {name} {name}", "")


@needs_gil
@pytest.mark.parametrize("unset", [None, ""])
def test_native_is_used_where_nothing_is_forced(unset: str | None) -> None:
    assert run(COUNT, unset) == Run(0, "native native native", "")


@pytest.mark.parametrize("name", ["nonsense", "NATIVE", "native "])
def test_an_engine_that_there_is_not_is_an_import_error(name: str) -> None:
    done = run("import tallymark", name)
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last == f"ImportError: TALLYMARK_ENGINE is {name!r}, but it must be 'native' or 'reference', or not set"


@pytest.mark.parametrize("forced", [None, "", "reference"])
def test_without_a_gil_the_reference_is_used_and_the_extensions_are_not_loaded(forced: str | None) -> None:
    assert run(WITHOUT_GIL + COUNT + NOT_LOADED, forced) == Run(0, "reference reference reference", "")


def test_without_a_gil_forcing_native_is_an_import_error_that_names_the_remedy() -> None:
    done = run(WITHOUT_GIL + "import tallymark", "native")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1] == (
        "ImportError: Tallymark's native engine cannot be loaded (it needs the GIL, and this Python runs without it). Start"
        " Python with PYTHON_GIL=1, or with -X gil=1. Or unset TALLYMARK_ENGINE, to use the reference engine."
    )


@pytest.mark.parametrize("ask", ["tm.Registry(engine='native')", "import tallymark.engine.native"])
def test_without_a_gil_asking_for_native_is_an_import_error_and_loads_nothing(ask: str) -> None:
    attempt = f"""
import tallymark as tm
for attempt in range(2):
    try:
        {ask}
    except ImportError as error:
        print("needs the GIL" in str(error))
"""
    assert run(WITHOUT_GIL + attempt + NOT_LOADED) == Run(0, "True\nTrue", "")


def test_a_free_threaded_build_counts_no_allocations_and_the_reason_is_told() -> None:
    ask = "sys.abiflags = 't'\nfrom tallymark.bench.allocations import available\nprint(available())\n"
    told = "allocations are not counted on a free-threaded build of CPython: use another build of it"
    assert run(WITHOUT_GIL + ask + NOT_LOADED) == Run(0, told, "")


@needs_gil
def test_without_native_the_reference_is_used_with_one_warning() -> None:
    done = run(WITHOUT_NATIVE + COUNT)
    assert (done.code, done.out) == (0, "reference reference reference")
    (line,) = done.err.splitlines()
    assert line.startswith("the native engine is not built here, so a record takes 10 to 25 times longer (")
    assert "Set TALLYMARK_ENGINE=native to see how to build it" in line
    assert "or TALLYMARK_ENGINE=reference to accept this." in line


@needs_gil
def test_the_line_goes_to_the_logger_of_the_library() -> None:
    listen = "import logging; logging.basicConfig(format='%(levelname)s %(name)s')\n"
    assert run(WITHOUT_NATIVE + listen + COUNT).err == "WARNING tallymark"


def test_forcing_the_reference_logs_nothing() -> None:
    assert run(WITHOUT_NATIVE + COUNT, "reference") == Run(0, "reference reference reference", "")


@needs_gil
def test_forcing_native_without_it_is_an_import_error_that_names_the_remedy() -> None:
    done = run(WITHOUT_NATIVE + COUNT, "native")
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("ImportError: Tallymark's native engine")
    assert names_the_remedy(last)


@needs_gil
@pytest.mark.parametrize("forced", [None, "reference"])
def test_a_registry_that_asks_for_native_without_it_is_an_import_error_likewise(forced: str | None) -> None:
    ask = """
import tallymark as tm
for attempt in range(2):
    try:
        tm.Registry(engine="native")
    except ImportError as error:
        print(error)
print(tm.Registry(engine="reference").counter("n").name)
"""
    done = run(WITHOUT_NATIVE + ask, forced)
    first, second, name = done.out.splitlines()
    assert first == second
    assert names_the_remedy(first)
    assert (done.code, name) == (0, "n")


@needs_gil
def test_a_package_without_the_extension_works_on_the_reference(unbuilt: Path) -> None:
    done = run(COUNT + "print(tm.__file__)", path=unbuilt)
    chosen, file = done.out.splitlines()
    assert (done.code, chosen, len(done.err.splitlines())) == (0, "reference reference reference", 1)
    assert Path(file).is_relative_to(unbuilt)
    assert names_the_remedy(run(COUNT, "native", path=unbuilt).err)


@needs_gil
def test_an_extension_that_cannot_be_loaded_is_as_good_as_none(unbuilt: Path, tmp_path: Path) -> None:
    native = load_engine("native")
    built = next(Path(native.__file__).parent.glob("_engine*"))
    shutil.copytree(unbuilt / "tallymark", tmp_path / "tallymark")
    (tmp_path / "tallymark/engine/native" / built.name).write_bytes(b"no library")
    done = run(COUNT, path=tmp_path)
    assert (done.code, done.out, len(done.err.splitlines())) == (0, "reference reference reference", 1)
    assert names_the_remedy(run(COUNT, "native", path=tmp_path).err.splitlines()[-1])


@needs_gil
def test_one_process_can_use_both() -> None:
    registries = [tm.Registry(engine=name) for name in ("native", "reference")]
    native, reference = [type(registry.counter("n")) for registry in registries]
    assert native is not reference
    assert native is load_engine("native").Counter
    assert load_engine().Counter is tm.Counter
    assert engine_name == tm.engine_name == load_engine().name


def test_a_registry_that_asks_for_an_engine_that_there_is_not_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no engine is called 'nonsense'; there are 'native' and 'reference'"):
        tm.Registry(engine="nonsense")
