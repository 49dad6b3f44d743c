"""The id of the container that the process runs in."""

from __future__ import annotations

import re

from tallymark.host.cgroup import parse_groups
from tallymark.host.mount import Mount, parse_mounts
from tallymark.host.tree import Tree

__all__ = ["container_id"]

# One directory of a cgroup's path: docker/<id>, docker-<id>.scope, cri-containerd-<id>.scope, …slice:cri-containerd:<id>,
# crio-<id>.scope, libpod-<id>.scope; on Fargate, <task>-<number>. A conmon watches a container from outside: not a match.
_GROUP = re.compile(r"(?:[\w.:-]*(?<!conmon)[-:])?([0-9a-f]{64})(?:\.scope)?|([0-9a-f]{32}-[0-9]{1,20})")

# A file that the runtime keeps for a container and mounts into it: of docker, …/containers/<id>/hostname; of podman and CRI-O,
# …/overlay-containers/<id>/userdata/hostname.
_KEPT = re.compile(
    r".*/(?:\w+-)?containers/(?:[^/]+/)?([0-9a-f]{64})/(?:userdata/)?"
    r"(run/secrets|\.containerenv|hostname|resolv\.conf|hosts)(?://deleted)?"
)

# What the kubelet mounts into a pod, whatever the runtime.
_KUBELETS = re.compile(r"/kubelet/pods/|/kubernetes\.io|/etc-hosts$")

# The most reliable file first. Containers of a podman pod share some, with the pod's id in the path; in Kubernetes they share
# all but the secrets, and an id that several containers share identifies none.
_FILES = ("run/secrets", ".containerenv", "hostname", "resolv.conf", "hosts")
_FILES_IN_KUBERNETES = _FILES[:1]


def container_id(tree: Tree) -> str | None:
    """Return the id of the container; `None` outside of one, or if the runtime hides it (containerd on cgroup v2)."""
    return _id_in_groups(tree.read("/proc/self/cgroup")) or _id_in_mounts(tree.read("/proc/self/mountinfo"))


def _id_in_groups(text: str) -> str | None:
    for group in parse_groups(text):
        # The last id is ours: a container may run within another.
        for name in reversed(group.path.split("/")):
            if match := _GROUP.fullmatch(name):
                return match[1] or match[2]
    return None


def _id_in_mounts(text: str) -> str | None:
    mounts = list(parse_mounts(text))
    files = _FILES_IN_KUBERNETES if any(map(_is_kubelets, mounts)) else _FILES
    # On the host itself, files of its containers may be mounted too, but not over /etc or /run.
    matches = [_KEPT.fullmatch(mount.root) for mount in mounts if mount.point.startswith(("/etc/", "/run/"))]
    ids = {match[2]: match[1] for match in matches if match}
    return next((ids[file] for file in files if file in ids), None)


def _is_kubelets(mount: Mount) -> bool:
    return bool(_KUBELETS.search(mount.root) or _KUBELETS.search(mount.point))
