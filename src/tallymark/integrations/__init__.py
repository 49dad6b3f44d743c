"""Code that instruments frameworks: a module for each, which is imported when it is first used.

import tallymark as tm

tm.integrations.fastapi.instrument(app, metrics_path="/metrics")
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["aiohttp", "asgi", "asyncio", "celery", "django", "fastapi", "flask", "gc", "logging", "starlette", "wsgi"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return import_module(f"tallymark.integrations.{name}")
    raise AttributeError(f"module 'tallymark.integrations' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
