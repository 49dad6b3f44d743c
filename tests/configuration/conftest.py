"""What tests of configuration share: registries that are closed, and backends that nobody has to listen for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tallymark as tm


@pytest.fixture
def registry() -> Iterator[tm.Registry]:
    """A registry, whose reporters and servers end with the test."""
    with tm.Registry() as registry:
        yield registry


@pytest.fixture
def configured(registry: tm.Registry) -> Any:
    """Configures the registry from these variables."""

    def configure(strict: bool = False, **environ: str) -> tm.Configuration:
        return tm.configure(registry, environ=environ, strict=strict)

    return configure
