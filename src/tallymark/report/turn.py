"""`Turn`: which of the processes that share a registry reports to a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.metric.shared.role_lock import RoleLock
    from tallymark.report.backend import Backend

__all__ = ["LOOK_EVERY", "Turn", "role_of"]

LOOK_EVERY = 0.5
"""Seconds between two looks at whether the process that reports has ended."""


class Turn:
    """A role that one process has at a time, until it ends or lets it go. Without a lock, this process has it.

    Attributes:
        is_ours: True if this process has it.
    """

    def __init__(self, lock: RoleLock | None, role: str) -> None:
        self._lock = lock
        self._role = role
        self.is_ours = lock is None

    def take(self) -> bool:
        """Take it if no other process has it; return True if it is ours now."""
        if not self.is_ours and self._lock is not None:
            self.is_ours = self._lock.take(self._role)
        return self.is_ours

    def release(self) -> None:
        """Let another process have it. May be called again."""
        if self._lock is not None:
            self._lock.close()
            self.is_ours = False


def role_of(backend: Backend) -> str:
    """Return what tells a backend from others that a registry is reported to: two that are told different metrics differ."""
    return repr((backend.kind, backend.address, backend.prefix, backend.include, backend.exclude))


def turn_of(registry: Registry, backend: Backend) -> Turn:
    """Return the turn to report a registry to a backend, in this process."""
    role = role_of(backend)
    if not registry._families.is_shared:
        return Turn(None, role)
    from tallymark.metric.shared.role_lock import RoleLock

    try:
        return Turn(RoleLock(registry._families.memory.shared), role)  # type: ignore[attr-defined]
    except OSError:  # as after setuid(): the file cannot be opened anew
        return Turn(None, role)
