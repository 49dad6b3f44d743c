"""What the toolkit imports: a process that measures pays for each module, and so does each one that asks for a name."""

import subprocess
import sys

import pytest


def modules(statement):
    """Return the modules that a fresh interpreter has after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
def test_the_package_imports_none_of_its_parts():
    added = modules("import tallymark.bench") - modules("import tallymark")
    assert added == {"tallymark.bench", "tallymark.bench.compare", "tallymark.bench.measure"}


@pytest.mark.slow
def test_a_name_of_a_part_is_the_function_and_not_the_package():
    assert "scipy" not in modules(
        "from tallymark.bench import compare, measure; assert callable(compare) and callable(measure)"
    )
    assert modules("import tallymark.bench.compare.compare, tallymark.bench as b; assert callable(b.compare)")


@pytest.mark.slow
def test_a_worker_does_without_what_takes_long_to_import():
    heavy = {"scipy", "numpy", "rich", "statistics", "subprocess", "platform", "traceback", "dataclasses"}
    assert not heavy & modules("import tallymark.bench.measure.worker")
