"""Where reports to a backend of deltas begin: what it was told before, by whichever reporter and process."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tallymark.report.base import Base, ForkedBase
from tallymark.report.turn import role_of

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.report.backend import Backend
    from tallymark.report.base_store import MemoryStore, Store

__all__ = ["base_of", "begin_at_fork", "inherited_store"]

_bases: WeakKeyDictionary[Registry, dict[str, Base]] = WeakKeyDictionary()


def base_of(registry: Registry, backend: Backend, inherited: MemoryStore | None = None) -> Base:
    """Return where the next report begins; of a shared registry, only while it is the turn of this process to report.

    Args:
        inherited: where to keep it for other processes, if the registry has no file.
    """
    if backend.temporality != "delta":
        return Base()
    if not registry._families.is_shared:
        return _bases.setdefault(registry, {}).setdefault(role_of(backend), Base())
    from tallymark.report.base_store import FileStore
    from tallymark.report.kept_base import KeptBase

    path = registry._families.memory.path  # type: ignore[attr-defined]
    store: Store | None = inherited if path is None else FileStore(path, backend.kind, role_of(backend))
    return Base() if store is None else KeptBase(registry, backend, store)


def inherited_store(registry: Registry, backend: Backend) -> MemoryStore | None:
    """Return memory that forked children inherit, for a shared registry that has no file; None where none is needed."""
    families = registry._families
    if backend.temporality != "delta" or not families.is_shared or families.memory.path is not None:  # type: ignore[attr-defined]
        return None
    from tallymark.report.base_store import MemoryStore

    return MemoryStore()


def begin_at_fork(registry: Registry, backend: Backend) -> None:
    """In a forked child: begin with what is recorded from now on, if the registry is not shared."""
    if backend.temporality == "delta" and not registry._families.is_shared:
        _bases.setdefault(registry, {})[role_of(backend)] = ForkedBase(registry)
