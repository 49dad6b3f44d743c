"""The pytest plugin that limits allocations of functions; where it needs one, in a run of pytest of its own."""

from __future__ import annotations

import gc
import itertools
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from typing import Any

import pytest

from tallymark.bench.allocations import CAN_TRACE_OBJECTS
from tallymark.bench.fixture import Allocs, PerRun

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

needs_objects = pytest.mark.skipif(not CAN_TRACE_OBJECTS, reason="objects are counted on Python 3.13 and later")
TEXT = 56 if sys.version_info < (3, 12) else 48

abc, xyz = "abc", "xyz"


def text() -> str:
    return f"{abc}:{xyz}"


def helper() -> list[str]:
    return [text()]


def made() -> dict[str, str]:
    return {}


def nothing() -> None:
    pass


@pytest.fixture
def pytest_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run pytest on a test file: with our plugin, and those that options name, and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess(*options, "-p", "tallymark.bench.plugin", "-W", "error", "-ra")

    return run


# What is measured.


def test_per_run() -> None:
    objects = {"str": 1.0} if CAN_TRACE_OBJECTS else None
    assert Allocs().per_run(text) == PerRun(1, TEXT, objects, 0)


def test_a_call_costs_nothing_in_itself() -> None:
    assert Allocs().per_run(nothing) == PerRun(0, 0, {} if CAN_TRACE_OBJECTS else None, 0)


def test_what_is_made_once_is_not_counted() -> None:
    cache: dict[str, str] = {}
    assert Allocs().per_run(lambda: cache.setdefault("a", abc)).allocs == 0


def test_a_slow_warm_up_is_waited_for() -> None:
    calls = itertools.count()
    held: list[object] = []
    assert (
        Allocs().per_run(lambda: held.append(bytes(1000)) if next(calls) < 1_500 else None).allocs <= 1
    )  # an int of the count


def test_fractions_are_kept() -> None:
    turns = itertools.cycle([False] * 6 + [True])
    assert Allocs().per_run(lambda: bytes(1000) if next(turns) else None).allocs == pytest.approx(1 / 7, abs=0.001)


def test_retained_blocks_are_counted() -> None:
    held: list[object] = []
    cost = Allocs().per_run(lambda: held.append(bytes(1000)))
    assert cost.allocs == pytest.approx(1, abs=0.01)
    assert cost.retained == pytest.approx(1, abs=0.01)


def test_what_is_freed_later_is_not_retained() -> None:
    recent: deque[object] = deque(maxlen=100)
    assert Allocs().per_run(lambda: recent.append(bytes(1000))).retained == 0


def test_what_another_thread_frees_is_not_retained() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert Allocs().per_run(lambda: pool.submit(int).result()).retained == 0


def test_garbage_in_cycles_is_not_retained() -> None:
    def cycle() -> None:
        one: list[object] = []
        one.append(one)

    assert Allocs().per_run(cycle).retained == 0


def test_the_collector_and_tracing_are_as_they_were() -> None:
    def trace(*_: object) -> None:
        return None

    tracing = sys.gettrace()
    sys.settrace(trace)
    gc.disable()
    try:
        Allocs().per_run(nothing)
        assert sys.gettrace() is trace
        assert not gc.isenabled()
    finally:
        sys.settrace(tracing)
        gc.enable()
    Allocs().per_run(nothing)
    assert gc.isenabled()


async def coroutine() -> None:
    pass


async def generator() -> Any:
    yield


@pytest.mark.parametrize("function", [coroutine, generator])
def test_async_functions_are_rejected(function: Any) -> None:
    with pytest.raises(TypeError, match="async functions are not supported"):
        Allocs().per_run(function)


# What a check says.


def test_a_function_that_costs_nothing_passes() -> None:
    assert Allocs().check(nothing).allocs == 0


@pytest.mark.parametrize("limits", [{"allocs": 1}, {"allocs": 1, "bytes": 56}, {"allocs": 1.5}, {"allocs": None}])
def test_within_the_limits(limits: Any) -> None:
    assert Allocs().check(text, **limits).bytes == TEXT


@pytest.mark.parametrize("limits", [{}, {"allocs": 0.5}, {"allocs": 1, "bytes": 47}, {"allocs": None, "bytes": 0}])
def test_over_a_limit(limits: Any) -> None:
    with pytest.raises(AssertionError, match="text costs more than allowed, per call in steady state"):
        Allocs().check(text, **limits)


def test_a_failure_names_costs_and_lines() -> None:
    with pytest.raises(AssertionError) as failure:
        Allocs().check(helper)
    said = str(failure.value)
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[0] == "helper costs more than allowed, per call in steady state:"
    assert any(line.startswith("allocs 2 0 <- too much") for line in lines), said
    assert any(line.startswith("bytes") and "any" in line for line in lines), said
    assert "retained 0 0" in lines
    where = said[said.index("  allocated at:") :]
    assert f"test_allocs_fixture.py:{text.__code__.co_firstlineno + 1}: 1 allocations, {TEXT} B: return f" in where
    assert f"test_allocs_fixture.py:{helper.__code__.co_firstlineno + 1}: 1 allocations, 8 B: return [text()]" in where
    assert ("objects created: list 1, str 1" in lines) == CAN_TRACE_OBJECTS


def test_a_failure_names_lines_that_allocate_and_no_others() -> None:
    def calls(a: int = 1, b: int = 2) -> None:
        c, d = a, b
        nothing()
        text()
        nothing()
        del c, d

    with pytest.raises(AssertionError) as failure:
        Allocs().check(calls)
    assert str(failure.value).count("test_allocs_fixture.py:") == 1


def grown() -> None:
    numbers = []
    for each in range(100):
        numbers.append(each)


def test_limits_of_reallocations() -> None:
    allocs = Allocs()
    assert allocs.check(grown, allocs=None, reallocs=10).reallocs == 10
    assert allocs.check(grown, allocs=None).reallocs == 10  # no limit unless one is given
    with pytest.raises(AssertionError) as failure:
        allocs.check(grown, allocs=None, reallocs=9)
    said = str(failure.value)
    assert "reallocs 10 9 <- too much" in [" ".join(line.split()) for line in said.splitlines()]
    where = said[said.index("reallocated at:") :]
    assert f"test_allocs_fixture.py:{grown.__code__.co_firstlineno + 3}: 10 reallocations" in where


def test_a_failure_names_what_is_retained() -> None:
    held: list[object] = []

    def keep() -> None:
        held.append(bytes(1000))

    with pytest.raises(AssertionError) as failure:
        Allocs().check(keep, allocs=None)
    said = str(failure.value)
    where = said[said.index("retained, allocated at:") :]
    assert f"test_allocs_fixture.py:{keep.__code__.co_firstlineno + 1}: 1 blocks, 1033 B: held.append(bytes(1000))" in where


def test_a_failure_within_c_code_says_so() -> None:
    with pytest.raises(AssertionError, match="no line found: in a function written in C"):
        Allocs().check(object)


def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        Allocs().check(lambda: 1 / 0)


@needs_objects
def test_limits_of_objects() -> None:
    allocs = Allocs()
    allocs.check(made, objects=1)
    allocs.check(made, objects={"dict": 1})
    allocs.check(made, objects={"list": 0})
    with pytest.raises(AssertionError, match=r"objects +1 +0  <- too much"):
        allocs.check(made, objects=0)
    with pytest.raises(AssertionError, match=r"objects of dict +1 +0  <- too much"):
        allocs.check(made, objects={"dict": 0, "list": 0})


@pytest.mark.skipif(CAN_TRACE_OBJECTS, reason="objects can be counted")
def test_limits_of_objects_skip_where_they_cannot_be_counted() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"objects cannot be counted before Python 3\.13"):
        Allocs().check(nothing, objects=1)
    with pytest.raises(AssertionError, match="costs more than allowed"):
        Allocs().check(text, objects=1)


# In runs of pytest.

FIXTURE = """
    import pytest

    abc, xyz = "abc", "xyz"

    def text():
        return f"{abc}:{xyz}"

    def test_passes(allocs):
        allocs.check(lambda: None)
        assert allocs.per_run(text).allocs == 1

    def test_fails(allocs):
        allocs.check(text)
"""


def test_the_fixture(pytest_run: Any) -> None:
    result = pytest_run(FIXTURE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([
        "*AssertionError: text costs more than allowed, per call in steady state:",
        "*allocs *1 *0 *<- too much",
        "*test_the_fixture.py:6: 1 allocations, * B: return f*",
        "FAILED *test_fails*",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*bench/fixture.py*")


def test_the_fixture_under_xdist(pytest_run: Any) -> None:
    pytest_run(FIXTURE, "-p", "xdist", "-n", "2").assert_outcomes(passed=1, failed=1)


MARKER = """
    import asyncio
    import unittest

    import pytest

    x, y, made = "abc", "xyz", []

    @pytest.fixture
    def resource():
        made.append(bytes(100))
        yield made
        made.pop()

    @pytest.mark.max_allocs(0)
    def test_pass_nothing():
        pass

    @pytest.mark.max_allocs
    def test_fail_by_default():
        f"{x}:{y}"

    @pytest.mark.max_allocs(1)
    def test_pass_one():
        f"{x}:{y}"

    @pytest.mark.max_allocs(1, bytes=40)
    def test_fail_bytes():
        f"{x}:{y}"

    @pytest.mark.max_allocs(bytes=60)
    def test_pass_bytes():
        f"{x}:{y}"

    @pytest.mark.max_allocs(reallocs=1)
    def test_pass_reallocs():
        [].extend(x for x in "abcdefghijk")

    @pytest.mark.max_allocs(reallocs=0)
    def test_fail_reallocs():
        [].extend(x for x in "abcdefghijk")

    @pytest.mark.max_allocs(0)
    @pytest.mark.parametrize("a", ["", "a"])
    @pytest.mark.parametrize("b", ["b"])
    def test_pass_with_fixtures_and_parameters(b, resource, a, request):
        assert len(resource) == 1
        assert b == "b"

    class TestClass:
        @pytest.fixture(autouse=True)
        def automatic(self):
            self.name = "set"

        @pytest.mark.max_allocs(0)
        def test_pass_method(self, resource):
            assert self.name == "set"

        @pytest.mark.max_allocs(0)
        def test_fail_method(self, resource):
            [self]

    @pytest.mark.max_allocs(0)
    def test_fail_assertion():
        assert x == y

    @pytest.mark.max_allocs(0)
    def test_skip():
        pytest.skip("not today")

    @pytest.mark.max_allocs(0)
    @pytest.mark.xfail(reason="known", strict=True, raises=AssertionError)
    def test_xfail():
        [x]

    @pytest.mark.max_allocs(0)
    def test_fail_keyword_only(*, resource):
        pass

    @pytest.mark.max_allocs(limit=0)
    def test_fail_unknown_limit():
        pass

    @pytest.mark.max_allocs(0)
    async def test_error_async():
        pass

    class Case(unittest.TestCase):
        @pytest.mark.max_allocs(0)
        def test_error_case(self):
            pass
"""


def test_the_marker(pytest_run: Any) -> None:
    result = pytest_run(MARKER, "--strict-markers")
    result.assert_outcomes(passed=7, failed=7, skipped=1, xfailed=1, errors=2)
    outcomes = [line for line in result.outlines if line.startswith(("FAILED", "ERROR", "SKIPPED"))]
    assert len(outcomes) == 10
    for line in outcomes:
        word = "fail" if line.startswith("FAILED") else "error" if line.startswith("ERROR") else ".py:"
        assert word in line.partition(" - ")[0], line
    result.stdout.fnmatch_lines_random([
        "*test_fail_by_default costs more than allowed, per call in steady state:",
        "*bytes * 40  <- too much",
        "*reallocs * 0  <- too much",
        "*TestClass.test_fail_method costs more than allowed*",
        "*keyword-only arguments*",
        "*max_allocs does not measure async tests*",
        "*max_allocs measures test functions and methods of plain classes, not TestCaseFunction",
    ])  # fmt: skip


def test_async_tests_are_rejected_where_a_plugin_runs_them(pytest_run: Any) -> None:
    source = """
        import pytest

        @pytest.mark.max_allocs(0)
        async def test_async():
            pass
    """
    options = "-p pytest_asyncio.plugin -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function"
    result = pytest_run(source, *options.split())
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*max_allocs does not measure async tests*"])


def test_the_marker_is_described(pytest_run: Any) -> None:
    result = pytest_run("", "--markers")
    result.stdout.fnmatch_lines(
        ["@pytest.mark.max_allocs(allocs=0, bytes=None, reallocs=None): fail if one call of the test's body*"]
    )
    result = pytest_run("", "--fixtures")
    result.stdout.fnmatch_lines(["allocs -- *", "    Measures and limits what functions allocate.*"])


def test_without_a_compiler_tests_are_skipped(pytester: pytest.Pytester, pytest_run: Any) -> None:
    pytester.makepyfile(without_a_compiler="import sys; sys.modules['tallymark.bench._allocs'] = None")
    result = pytest_run(
        """
        import pytest

        def test_fixture(allocs):
            raise AssertionError("not reached")

        @pytest.mark.max_allocs(0)
        def test_marker():
            raise AssertionError("not reached")
        """,
        "-p", "without_a_compiler",
    )  # fmt: skip
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED *the extension tallymark.bench._allocs was not built: install a C compiler*"])


def test_it_is_registered() -> None:
    assert {each.value for each in entry_points(group="pytest11")} >= {"tallymark.bench.plugin", "tallymark.testing.plugin"}


def test_nothing_heavy_is_imported_for_tests_that_do_not_use_it(pytest_run: Any) -> None:
    pytest_run("""
        import sys

        def test_imports():
            assert not {"scipy", "numpy", "rich"} & set(sys.modules)
    """).assert_outcomes(passed=1)
