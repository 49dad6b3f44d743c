"""Limits on CPU and memory, from control groups (cgroups) of either version.

A limit holds for a group and all groups in it, so the least one on the path down to ours is in force. A container often sees
only its own group: the limits of its pod, above it, cannot be read from inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from tallymark.host.mount import Mount, parse_mounts
from tallymark.host.tree import Tree
from tallymark.host.value import positive

__all__ = ["Group", "cpu_limit", "memory_limit", "parse_groups"]

_HOME = "/sys/fs/cgroup"

# Without a limit, v1 shows the largest number that fits, rounded down to a page, whose size differs. No machine has 1 EiB.
_UNLIMITED = 2**60

# Many more hierarchies and levels of groups than exist. They limit what a hostile file can make us open.
_MAX_GROUPS = 32
_MAX_DIRECTORIES = 256

_ABOVE = re.compile(r"^hierarchical_memory_limit (\d+)$", re.MULTILINE)


class Group(NamedTuple):
    """A line of `/proc/self/cgroup`: the process' group in one hierarchy. The hierarchy of v2 names no controllers."""

    controllers: tuple[str, ...]
    path: str


def parse_groups(text: str) -> Iterator[Group]:
    """Parse a `/proc/self/cgroup`. Lines of another form are omitted."""
    for line in text.split("\n"):
        fields = line.split(":", 2)  # containerd's paths hold colons
        if len(fields) == 3 and fields[2].startswith("/"):
            yield Group(tuple(filter(None, fields[1].split(","))), fields[2])


def cpu_limit(tree: Tree) -> float | None:
    """Return how many CPUs' worth of time the process may use; `None` if there is no limit."""
    return _least(_cpu_limit(tree, directory) for directory in islice(_directories(tree, "cpu"), _MAX_DIRECTORIES))


def _cpu_limit(tree: Tree, directory: str) -> float:
    text = tree.read(f"{directory}/cpu.max") or (
        tree.read(f"{directory}/cpu.cfs_quota_us") + " " + tree.read(f"{directory}/cpu.cfs_period_us")
    )
    quota, period = [*map(positive, text.split()), 0, 0][:2]
    return quota / period if period else 0


def memory_limit(tree: Tree) -> int | None:
    """Return how many bytes of memory the process may use; `None` if there is no limit."""
    limit = _least(_memory_limit(tree, directory) for directory in islice(_directories(tree, "memory"), _MAX_DIRECTORIES))
    return None if limit is None else int(limit)


def _memory_limit(tree: Tree, directory: str) -> int:
    limits = [tree.read(f"{directory}/memory.max")]
    if v1 := tree.read(f"{directory}/memory.limit_in_bytes"):
        # Only v1 shows the limits of the groups above, even of those that a container cannot see.
        limits = [v1, *_ABOVE.findall(tree.read(f"{directory}/memory.stat"))]
    return min((limit for limit in map(positive, limits) if 0 < limit < _UNLIMITED), default=0)


def _least(limits: Iterable[float]) -> float | None:
    return min(filter(None, limits), default=None)


def _directories(tree: Tree, controller: str) -> Iterator[str]:
    """Yield the directories of the process' groups, and of the groups above, that a controller's limits may be in."""
    mounts = list(parse_mounts(tree.read("/proc/self/mountinfo")))
    for group in islice(parse_groups(tree.read("/proc/self/cgroup")), _MAX_GROUPS):
        if controller in group.controllers:
            found = [mount for mount in mounts if mount.kind == "cgroup" and controller in mount.options]
            home = f"{_HOME}/{controller}"
        elif not group.controllers:
            found = [mount for mount in mounts if mount.kind == "cgroup2"]
            home = _HOME
        else:
            continue
        for mount in found or [Mount("/", home, "", ())]:
            yield from _levels(mount, group.path)


def _levels(mount: Mount, path: str) -> Iterator[str]:
    root = mount.root.rstrip("/")
    if not f"{path}/".startswith(f"{root}/"):
        # Paths are relative to the process' cgroup namespace, mounts may be from another: then the usual mount point shows our
        # own group, and any other point shows another's.
        if not f"{mount.point}/".startswith(f"{_HOME}/"):
            return
        path = root
    level = mount.point.rstrip("/")
    yield level
    for name in path[len(root) :].strip("/").split("/"):
        level = f"{level}/{name}"
        yield level
