"""What tests of integrations have in common."""

from __future__ import annotations

import pytest

import tallymark as tm
from tallymark.integrations.compiled import compiled_for


@pytest.fixture
def native() -> tm.Registry:
    """A registry whose requests are followed in C."""
    registry = tm.Registry(engine="native")
    assert compiled_for(registry) is not None
    return registry
