"""Packages that bridges lead to, which are installed as extras."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["imported"]


def imported(module: str, package: str, extra: str) -> Any:
    """Return a module of a package that an extra installs.

    Raises:
        ImportError: it is not installed; the message tells how to.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"this bridge needs {package}: pip install 'tallymark[{extra}]'", name=error.name) from error
