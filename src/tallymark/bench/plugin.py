"""The pytest plugin: tests of how much a function allocates, counted exactly, in steady state.

    def test_inc_allocates_nothing(allocs):
        allocs.check(lambda: requests.inc(method="GET"))

    @pytest.mark.max_allocs(0)
    def test_the_whole_body_allocates_nothing():
        requests.inc(method="GET")

Both call the measured code many times, from about a hundred to about ten thousand. Async code is not supported.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from unittest import TestCase

import pytest

if TYPE_CHECKING:
    from tallymark.bench.fixture import Allocs

__all__ = ["allocs"]

MARKER = "max_allocs"


@pytest.fixture
def allocs() -> Allocs:
    """Measures and limits what functions allocate. Skips the test, with the reason, where they cannot be counted."""
    return _measure()


def _measure() -> Allocs:
    from tallymark.bench.fixture import Allocs, available

    reason = available()
    if reason:
        pytest.skip(reason)
    return Allocs()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(allocs=0, bytes=None, reallocs=None): fail if one call of the test's body, repeated until its cost is"
        " steady, makes more than this many allocations or reallocations, or asks for more than this many bytes. The body runs"
        " many times; fixtures once.",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker(MARKER) is None:
        return
    # Such a test does not reach the hook below, or reaches it inside an event loop. The limit would be ignored, or count the
    # loop's allocations too.
    if not isinstance(item, pytest.Function) or (item.cls is not None and issubclass(item.cls, TestCase)):
        pytest.fail(f"{MARKER} measures test functions and methods of plain classes, not {type(item).__name__}", pytrace=False)
    if inspect.iscoroutinefunction(item.obj):
        pytest.fail(f"{MARKER} does not measure async tests: mark a test of the functions they call", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    marker = pyfuncitem.get_closest_marker(MARKER)
    if marker is None:
        return None
    from tallymark.bench.fixture import called_with

    body = called_with(pyfuncitem.obj, pyfuncitem.funcargs)
    _measure().check(body, retained=None, objects=None, **_limits(*marker.args, **marker.kwargs))
    return True


def _limits(allocs: float | None = None, *, bytes: float | None = None, reallocs: float | None = None) -> dict[str, Any]:
    if allocs is None and bytes is None and reallocs is None:
        allocs = 0
    return {"allocs": allocs, "bytes": bytes, "reallocs": reallocs}
