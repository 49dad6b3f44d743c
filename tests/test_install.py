"""Installing from the source distribution, with a C compiler and without one: into a clean environment, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.once]  # each version's own environment is made in the same way

ROOT = Path(__file__).parents[1]
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1"}
WITH_COMPILER = {"TALLYMARK_CFLAGS": "-O0"}  # it compiles three times faster, and speed is not what is tested
WITHOUT_COMPILER = {"CC": "/bin/false"}
USE = """
import tallymark as tm
tm.counter("n").inc(a="1")
assert tm.registry().snapshot().find("n", a="1").value == 1
print(tm.engine_name, tm.__version__, tm.__file__)
"""


def run(command: Sequence[str | Path], **env: str) -> str:
    """Run a command outside of the sources; return what it prints. If it fails, the failure shows that."""
    done = attempt(command, **env)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def attempt(command: Sequence[str | Path], **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TALLYMARK_", "PIP_", "PYTHON", "CFLAGS"))}
    return subprocess.run(command, env=clean | OFFLINE | env, cwd="/", capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution: what is not in it is not there to be installed."""
    path = tmp_path_factory.mktemp("sdist")
    sources = path / "sources"
    sources.mkdir()
    for name in ("src", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        copied = ["cp", "-r", str(ROOT / name), str(sources)]
        run(copied)
    for leftover in [*sources.glob("src/*.egg-info"), *sources.rglob("*.so"), *sources.rglob("__pycache__")]:
        run(["rm", "-r", leftover])
    build = f"import os, setuptools.build_meta as b; os.chdir({str(sources)!r}); b.build_sdist({str(path)!r})"
    run([sys.executable, "-c", build])
    return next(path.glob("*.tar.gz"))


def wheel_of(sdist: Path, path: Path, env: dict[str, str]) -> Path:
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", path, sdist], **env)
    return next(path.glob("*.whl"))


@pytest.fixture(scope="module")
def compiled(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made where there is a compiler."""
    return wheel_of(sdist, tmp_path_factory.mktemp("compiled"), WITH_COMPILER)


@pytest.fixture(scope="module")
def plain(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made where there is none."""
    return wheel_of(sdist, tmp_path_factory.mktemp("plain"), WITHOUT_COMPILER)


def installed(wheel: Path, path: Path) -> Path:
    """Install a wheel, and nothing else, into a new environment; return its `bin`."""
    venv.create(path, with_pip=False, symlinks=True)
    run([sys.executable, "-m", "pip", "--python", path / "bin/python", "install", "-q", wheel])
    return path / "bin"


def files_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def extensions_of(wheel: Path) -> list[str]:
    starts = ("tallymark/engine/native/_engine.", "tallymark/integrations/_exchanges.")
    return [name for name in files_of(wheel) if name.startswith(starts) and name.endswith(".so")]


def test_without_a_compiler_the_install_succeeds_on_the_reference_engine(plain: Path, tmp_path: Path) -> None:
    assert extensions_of(plain) == []
    bin = installed(plain, tmp_path)
    done = attempt([bin / "python", "-W", "error", "-c", USE])
    engine, _, file = done.stdout.split()
    assert (done.returncode, engine) == (0, "reference")
    assert Path(file).is_relative_to(tmp_path)
    (line,) = done.stderr.splitlines()
    assert "the native engine is not built here" in line
    forced = attempt([bin / "python", "-c", USE], TALLYMARK_ENGINE="native")
    assert forced.returncode == 1
    last = forced.stderr.splitlines()[-1]
    assert last.startswith("ImportError: Tallymark's native engine cannot be loaded")
    assert "C compiler" in last
    assert "pip install" in last


def test_with_a_compiler_the_install_has_the_native_engine(compiled: Path, tmp_path: Path) -> None:
    assert len(extensions_of(compiled)) == 2
    bin = installed(compiled, tmp_path)
    done = attempt([bin / "python", "-W", "error", "-c", USE])
    assert (done.returncode, done.stderr) == (0, "")
    engine, _, file = done.stdout.split()
    assert engine == "native"
    assert Path(file).is_relative_to(tmp_path)
    assert "usage: tallymark" in run([bin / "tallymark", "--help"])


def test_both_wheels_hold_the_same_python_and_no_c(compiled: Path, plain: Path) -> None:
    ours, theirs = [{name for name in files_of(wheel) if name.startswith("tallymark/")} for wheel in (compiled, plain)]
    ours = {name for name in ours if not name.endswith(".so")}
    assert ours == theirs
    sources = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src/tallymark").rglob("*.py")}
    parts = (ROOT / "src/tallymark/serve/dashboard").glob("*")
    page = {str(file.relative_to(ROOT / "src")) for file in parts if file.suffix in (".html", ".css", ".js")}
    assert ours == sources | {"tallymark/py.typed"} | page


def test_the_source_distribution_holds_all_that_is_compiled(sdist: Path, tmp_path: Path) -> None:
    run(["tar", "-xzf", sdist, "-C", tmp_path])
    (top,) = tmp_path.iterdir()
    wanted = {file.relative_to(ROOT) for suffix in ("*.c", "*.h", "*.py") for file in (ROOT / "src/tallymark").rglob(suffix)}
    assert wanted <= {file.relative_to(top) for file in top.rglob("*")}
