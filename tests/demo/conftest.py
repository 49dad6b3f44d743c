"""The Prometheus programs that check the demo's metrics."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str) -> str:
    """Return the path of a Prometheus program; without it, skip, or fail if the environment requires it."""
    path = shutil.which(program)
    if path is None:
        absent = f"{program} is not on the PATH"
        if os.environ.get("TALLYMARK_REQUIRE_PROMETHEUS") == "1":
            pytest.fail(f"{absent}, but TALLYMARK_REQUIRE_PROMETHEUS=1")
        pytest.skip(absent)
    return path


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of `promtool`."""
    return require("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    """The path of `prometheus`."""
    return require("prometheus")
