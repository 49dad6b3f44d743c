"""Real servers that tests of backends and of formats talk to."""

from __future__ import annotations

import os

import pytest
from prometheus_server import require_prometheus, require_prometheus_3


@pytest.fixture(scope="module", params=["2", *(["3"] if os.environ.get("TALLYMARK_PROMETHEUS_3") else [])])
def prometheus(request: pytest.FixtureRequest) -> str:
    """The path of a Prometheus: of the one that is installed; and of a Prometheus 3, if the environment names one."""
    return require_prometheus() if request.param == "2" else require_prometheus_3()
