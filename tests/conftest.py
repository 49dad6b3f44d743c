"""The engines under test: every test of the record path asks for `engine` or `registry`, and runs once for each."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from typing import Any

import hypothesis  # on import it asks the collector who refers to what: it must come before freezing
import pytest

import tallymark as tm
from tallymark.engine import load_engine
from tallymark.engine.lock import has_gil

ENGINES = ["native", "reference"]

ABOUT_NATIVE = [
    "engine/test_allocations.py", "engine/test_conformance.py", "engine/test_signatures.py",
    "operational/test_operational_allocations.py",
]  # fmt: skip
collect_ignore = [] if has_gil() else ABOUT_NATIVE

hypothesis.settings.register_profile("tests", deadline=None)  # no test asserts on time
hypothesis.settings.load_profile("tests")


def pytest_configure() -> None:
    """Let Ctrl-C be heard by programs that tests start: what a shell starts in the background ignores it, and so would they."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str | None:
    """Say what is left out where there is no GIL."""
    return None if has_gil() else f"no GIL: left out are tests that ask for the native engine, and {', '.join(ABOUT_NATIVE)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Skip a test whose fixture asks for the native engine where that cannot be: it needs the GIL."""
    yield from _skipped_without_gil()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip a test that asks for the native engine where that cannot be: it needs the GIL."""
    yield from _skipped_without_gil()


def _skipped_without_gil() -> Iterator[None]:
    try:
        return (yield)
    except ImportError as error:
        if has_gil() or "needs the GIL" not in str(error):
            raise
        pytest.skip(str(error))


def pytest_collection_finish() -> None:
    """Keep what pytest holds of five thousand tests from the garbage collector: each of a thousand collections looked at it."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Show it everything again: libraries that are imported for the last lines of a run ask it who refers to their objects."""
    gc.unfreeze()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    """The module of an engine. One that is missing is an error, never a skip, but where there is no GIL for it."""
    return load_engine(request.param)


@pytest.fixture
def registry(engine: Any) -> tm.Registry:
    """A fresh registry on the engine under test."""
    return tm.Registry(engine=engine.name)


@pytest.fixture
def strict_registry(engine: Any) -> tm.Registry:
    """A fresh registry that raises for bad data too."""
    return tm.Registry(engine=engine.name, strict=True)
