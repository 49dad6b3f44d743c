"""What importing costs: the modules that come with it. Not the time, which machines decide."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST_RECORD = "import tallymark as tm; tm.counter('requests', description='d').inc(method='GET')"

OURS = {
    "tallymark",
    "tallymark.engine",
    "tallymark.engine.kinds",
    "tallymark.engine.lock",
    "tallymark.engine.number",
    "tallymark.engine.options",
    "tallymark.engine.policy",
    "tallymark.engine.text",
    "tallymark.errors",
    "tallymark.frozen",
    "tallymark.log",
    "tallymark.metric",
    "tallymark.metric.context",
    "tallymark.metric.families",
    "tallymark.metric.instruments",
    "tallymark.metric.names",
    "tallymark.metric.registry",
    "tallymark.metric.rejections",
    "tallymark.metric.validation",
    "tallymark.serve",  # empty, and there so that `tm.serve` stays the function
    "tallymark.version",
}
NATIVE = {"tallymark.engine.native", "tallymark.engine.native._engine"}
PYTHONS = {"__future__", "_contextvars", "math"}
"""Of the standard library, beside what a Python that does nothing has loaded."""


def modules(program: str) -> set[str]:
    """Return the modules that a program loads, beside those that come with any Python."""
    show = "; import sys; print(*sorted(sys.modules))"
    loaded = [
        set(subprocess.run([sys.executable, "-c", each + show], check=True, capture_output=True, text=True).stdout.split())
        for each in ("pass", program)
    ]
    return loaded[1] - loaded[0]


@pytest.mark.parametrize("program", ["import tallymark", FIRST_RECORD])
def test_a_first_record_loads_what_it_needs_and_no_more(program: str) -> None:
    found = modules(program)
    assert {name for name in found if name.startswith("tallymark")} <= OURS | NATIVE
    assert {name for name in found if not name.startswith("tallymark")} <= PYTHONS


def test_the_front_door_loads_the_rest_when_it_is_asked_for() -> None:
    assert "tallymark.serve.server" in modules("import tallymark as tm; tm.serve")
    assert "asyncio" not in modules("import tallymark as tm; tm.serve")
