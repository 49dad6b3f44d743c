"""The pytest plugin, in runs of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pytest_run import run_pytest

pytestmark = pytest.mark.slow

SERVICE = """
    import tallymark as tm

    made_on_import = tm.counter("made_on_import")

    def handle():
        tm.counter("requests").inc(method="GET")
        made_on_import.inc()
"""

SAMPLE = """
    import asyncio
    from threading import Thread

    import pytest
    import tallymark as tm
    from service import handle

    @pytest.fixture
    def started(metrics):
        tm.counter("started").inc()
        return metrics

    @pytest.mark.parametrize("turn", range(3))
    def test_each_test_starts_from_nothing(metrics, turn):
        assert tm.registry() is metrics
        metrics.assert_not_recorded("requests")
        handle()
        metrics.assert_recorded("requests", 1, method="GET")

    def test_fixtures_see_it(started, metrics):
        assert started is metrics
        metrics.assert_recorded("started", 1)

    def test_asyncio_run_sees_it(metrics):
        async def main():
            handle()
            await asyncio.gather(*[asyncio.create_task(asyncio.to_thread(handle)) for _ in range(3)])
        asyncio.run(main())
        metrics.assert_recorded("requests", 4, method="GET")

    def test_threads_see_it(metrics):
        thread = Thread(target=handle)
        thread.start()
        thread.join()
        metrics.assert_recorded("requests", 1, method="GET")

    def test_it_is_strict(metrics):
        with pytest.raises(ValueError):
            tm.counter("requests").inc(-1)

    @pytest.mark.parametrize("turn", range(2))
    def test_instruments_made_on_import(metrics, default_metrics, turn):
        handle()
        metrics.assert_not_recorded("made_on_import")
        default_metrics.assert_recorded("made_on_import", 1)

    def test_none_without_the_fixture():
        assert type(tm.registry()) is tm.Registry
"""

# A session's loop, and its context, are older than any test's metrics.
PYTEST_ASYNCIO = """
    import asyncio
    import pytest, pytest_asyncio
    import tallymark as tm
    from service import handle

    @pytest_asyncio.fixture(loop_scope="session", scope="session")
    async def pool():
        handle()
        return asyncio.get_running_loop()

    @pytest_asyncio.fixture
    async def started(metrics):
        handle()

    @pytest.mark.asyncio
    @pytest.mark.parametrize("turn", range(2))
    async def test_own_loop(metrics, started, turn):
        handle()
        await asyncio.create_task(asyncio.to_thread(handle))
        metrics.assert_recorded("requests", 3, method="GET")

    @pytest.mark.asyncio(loop_scope="session")
    @pytest.mark.parametrize("turn", range(2))
    async def test_the_sessions_loop(pool, metrics, turn):
        handle()
        await asyncio.create_task(asyncio.to_thread(handle))
        metrics.assert_recorded("requests", 2, method="GET")
"""

ANYIO = """
    import anyio, pytest
    import tallymark as tm
    from service import handle

    pytestmark = pytest.mark.anyio

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    @pytest.fixture(scope="module")
    async def pool(anyio_backend):
        yield handle()

    @pytest.fixture
    async def started(metrics):
        handle()
        yield

    @pytest.mark.parametrize("turn", range(2))
    async def test_tasks_see_it(pool, metrics, started, turn):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, handle)
        metrics.assert_recorded("requests", 2, method="GET")
"""


def run_sample(folder: Path, sample: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run_pytest(folder, {"service.py": SERVICE, "test_sample.py": sample}, *options)


def check(run: subprocess.CompletedProcess[str], passed: int) -> None:
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{passed} passed" in run.stdout


def needs(module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


def test_each_test_has_its_own_metrics(tmp_path: Path) -> None:
    check(run_sample(tmp_path, SAMPLE), 10)


@needs("xdist")
def test_with_workers(tmp_path: Path) -> None:
    check(run_sample(tmp_path, SAMPLE, "-p", "xdist", "-n", "2"), 10)


@needs("pytest_asyncio")
def test_with_pytest_asyncio(tmp_path: Path) -> None:
    check(run_sample(tmp_path, PYTEST_ASYNCIO, "-p", "pytest_asyncio.plugin"), 4)


@needs("anyio")
def test_with_anyio(tmp_path: Path) -> None:
    check(run_sample(tmp_path, ANYIO, "-p", "anyio.pytest_plugin"), 2)


@needs("trio")
@needs("anyio")
def test_with_anyio_on_trio(tmp_path: Path) -> None:
    check(run_sample(tmp_path, ANYIO.replace('"asyncio"', '"trio"'), "-p", "anyio.pytest_plugin"), 2)


def test_a_failure_shows_the_message_and_none_of_our_code(tmp_path: Path) -> None:
    sample = """
        from service import handle

        def test_it(metrics):
            handle()
            metrics.assert_recorded("requests", 2, method="GET")
    """
    run = run_sample(tmp_path, sample)
    assert run.returncode == 1
    assert 'E       AssertionError: requests{method="GET"}: expected 2, but it is 1' in run.stdout
    assert "test_sample.py:6: AssertionError" in run.stdout
    assert "recorder.py" not in run.stdout


def test_a_failing_test_leaves_nothing_behind(tmp_path: Path) -> None:
    sample = """
        import tallymark as tm

        def test_fails(metrics):
            tm.counter("requests").inc()
            raise RuntimeError

        def test_default():
            assert "requests" not in tm.registry().snapshot()

        def test_next(metrics):
            metrics.assert_not_recorded("requests")
    """
    run = run_sample(tmp_path, sample)
    assert "1 failed, 2 passed" in run.stdout, run.stdout


@pytest.mark.parametrize("module", ["tallymark", "tallymark.testing"])
def test_pytest_is_imported_by_the_plugin_only(module: str) -> None:
    program = f"import sys, {module}; print(sorted({{'pytest', '_pytest', 'tallymark.testing.plugin'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
