"""A recording registry on each engine."""

from __future__ import annotations

from typing import Any

import pytest

from tallymark.testing import RecordingRegistry


@pytest.fixture
def recording(engine: Any) -> RecordingRegistry:
    """A fresh recording registry on the engine under test."""
    return RecordingRegistry(engine=engine.name)
