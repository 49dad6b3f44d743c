"""The pytest plugin: fixtures that give a test its own metrics.

A test that runs in another context than its fixtures (async tests, threads) finds the same registry: see `use_everywhere`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallymark.testing.current import DEFAULT, use_everywhere
from tallymark.testing.recorder import Recorder, RecordingRegistry

__all__ = ["default_metrics", "metrics"]


@pytest.fixture
def metrics() -> Iterator[RecordingRegistry]:
    """A fresh, strict registry: the current one during the test, with queries for what was recorded."""
    with RecordingRegistry() as registry, use_everywhere(registry):
        yield registry


@pytest.fixture
def default_metrics() -> Recorder:
    """What was recorded to the default registry since the test began, as by instruments that were made on import."""
    return Recorder(DEFAULT, since=DEFAULT.snapshot())
