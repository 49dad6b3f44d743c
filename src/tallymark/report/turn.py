"""`Turn`: which of the processes that share a registry reports to a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.log import logger

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.metric.shared.role_lock import RoleLock
    from tallymark.report.backend import Backend

__all__ = ["LOOK_EVERY", "Turn", "role_of", "turn_of"]

LOOK_EVERY = 0.5
"""Seconds between two looks at whether the process that reports has ended."""


class Turn:
    """A role that one process has at a time, until it ends or lets it go.

    Args:
        lock: tells who has it; None if that is not needed, or not possible.
        is_ours: True if this process has it without a lock.

    Attributes:
        is_ours: True if this process has it.
    """

    def __init__(self, lock: RoleLock | None, role: str, *, is_ours: bool = False) -> None:
        self._lock = lock
        self._role = role
        self.is_ours = is_ours

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
    """Return what tells a backend from others that a registry is reported to: two that are told different things differ."""
    told = backend.prefix, backend.include, backend.exclude, sorted(backend.tags.items())
    return repr((backend.kind, backend.address, backend.temporality, *told))


def turn_of(registry: Registry, backend: Backend) -> Turn:
    """Return the turn to report a registry to a backend, in this process.

    Raises:
        OSError: the shared file cannot be opened now.
    """
    role = role_of(backend)
    if not registry._families.is_shared:
        return Turn(None, role, is_ours=True)
    from tallymark.metric.shared.role_lock import RoleLock

    try:
        return Turn(RoleLock(registry._families.memory.shared), role)  # type: ignore[attr-defined]
    except PermissionError:  # as after setuid(): the file cannot be opened anew
        is_right_twice = backend.temporality != "delta"
        if not is_right_twice:
            logger().error(
                "%s %s: this process does not report, as it may not open the shared file anew, and so cannot tell whether"
                " another one does. Give its user leave to do so", backend.kind, backend.address,
            )  # fmt: skip
        return Turn(None, role, is_ours=is_right_twice)
