"""Celery's pools: which of them fork, and the registry that the processes of one share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery.concurrency import get_implementation

from tallymark.log import logger
from tallymark.metric.null import NullRegistry
from tallymark.metric.registry import Registry

if TYPE_CHECKING:
    from typing import Any

__all__ = ["forks", "shared_registry"]

_GREEN = ("eventlet", "gevent")
"""Pools whose import changes the process. They do not fork."""


def forks(pool: Any) -> bool:
    """Return True if a pool, or the name of one, runs tasks in processes of its own."""
    if pool in _GREEN:
        return False
    return any(base.__module__ == "celery.concurrency.prefork" for base in get_implementation(pool).__mro__)


def shared_registry(registry: Registry) -> Registry:
    """Return a registry that forked children share: this one if it is shared, else a new one with the same tags and limits.

    Where this platform has none, return the registry itself, and log what that means. A null registry has nothing to share.
    """
    families = registry._families
    if families.is_shared or isinstance(registry, NullRegistry):
        return registry
    try:
        return Registry(
            tags=registry._tags, limits=families._limits, shared=True, strict=registry._rejections._strict,
            self_metrics=registry._self_metrics, exponential=registry._exponential,
            exemplars=None if registry._exemplars is None else registry._exemplars.source,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        logger().warning("each process of Celery's pool counts for itself, and nobody reads that: %s", error)
        return registry
