"""The layer under test, on each engine."""

from __future__ import annotations

import pytest

import tallymark as tm
from tallymark.operational import OperationalMetrics


@pytest.fixture
def ops(registry: tm.Registry) -> OperationalMetrics:
    """The operational layer on a fresh registry, which keeps the operations in flight too."""
    return OperationalMetrics(registry, in_flight=True)
