"""`Host`: what a process knows about where it runs."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallymark.host import cgroup, kubernetes
from tallymark.host.container import container_id
from tallymark.host.environment import Environment
from tallymark.host.tree import Tree
from tallymark.host.value import clean
from tallymark.metric import context
from tallymark.metric.collector import family
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tallymark.metric.snapshot import FamilySnapshot

__all__ = ["Host", "detect_host"]

# The tags for every series: few, as a series has ten at most by default, and with values that do not change with a deployment
# (except a pod's host name). All else that is known is in `host_info`.
_COMMON = ("host", "k8s_namespace", "region", "zone", "environment")

# What OpenTelemetry calls these attributes of a resource, so that queries that join with `target_info` work. Source:
# https://opentelemetry.io/docs/specs/semconv/resource/.
_ATTRIBUTES = {
    "host": "host.name",
    "os": "os.type",
    "arch": "host.arch",
    "container_id": "container.id",
    "k8s_node": "k8s.node.name",
    "k8s_pod": "k8s.pod.name",
    "k8s_namespace": "k8s.namespace.name",
    "region": "cloud.region",
    "zone": "cloud.availability_zone",
    "environment": "deployment.environment.name",
}

# The same processor has different names on different systems. These are Go's, OpenTelemetry's and Kubernetes'.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where a process runs, as far as it knows. What is not known is `None`.

    Attributes:
        name: the host's name; in a container the container's own, which in Kubernetes is the pod's.
        os: the operating system: `linux`, `darwin`, `windows`.
        arch: the processor's architecture: `amd64`, `arm64`; others as the system calls them.
        cpu_count: CPUs of the machine, also of a container's.
        cpu_limit: how many CPUs' worth of time the process may use, such as 1.5. `None` if there is no limit.
        memory_limit: how many bytes of memory the process may use. `None` if there is no limit.
        container_id: the id that the container's runtime gave it.
        k8s_node: the Kubernetes node.
        k8s_pod: the Kubernetes pod.
        k8s_namespace: the Kubernetes namespace.
        region: the cloud's region.
        zone: the cloud's availability zone.
        environment: what the service is deployed for: `production`, `staging`.
    """

    name: str | None = None
    os: str | None = None
    arch: str | None = None
    cpu_count: int | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None
    container_id: str | None = None
    k8s_node: str | None = None
    k8s_pod: str | None = None
    k8s_namespace: str | None = None
    region: str | None = None
    zone: str | None = None
    environment: str | None = None

    def tags(self) -> dict[str, str]:
        """Return the few tags that suit every series, for `Registry(tags=host.tags())`. What is not known is omitted.

        They are `host`, `k8s_namespace`, `region`, `zone` and `environment`, and leave five of the ten that a series may have
        by default. The rest changes with every deployment or is of no use on every series; `inject` reports it once.
        """
        known = self._known()
        return {key: known[key] for key in _COMMON if key in known}

    def attributes(self) -> dict[str, str]:
        """Return the texts that are known, named as OpenTelemetry names the attributes of a resource: `host.name`."""
        return {_ATTRIBUTES[key]: value for key, value in self._known().items()}

    def inject(self, registry: Registry | None = None, *, target_info: bool = False) -> None:
        """Have `registry` (by default the current one) report this host. May be called again.

        | metric | meaning |
        | --- | --- |
        | `host_info` | 1, tagged with `host`, `os`, `arch`, `container_id`, `k8s_node` … : every text that is known |
        | `host_cpu_count` | CPUs of the machine |
        | `host_cpu_limit` | CPUs' worth of time that the process may use |
        | `host_memory_limit_bytes` | memory that the process may use |

        A number that is not known is not registered. A registry reports one host: another call replaces it.

        Args:
            target_info: report `target_info` too: the texts of `host_info`, as OpenMetrics and OpenTelemetry tell what is
                scraped. Its tags are named as in OpenTelemetry: `host.name`, `k8s.pod.name`.

        Raises:
            TypeError: `registry` is not a `Registry`.
            MetricConflictError: one of the names belongs to another kind or unit.
        """
        target = context.registry() if registry is None else registry
        check_type("registry", target, Registry)
        collector = HostCollector(self, target_info=target_info)
        for one in collector.collect():
            target._check_not_taken(one.name)
        target.register(collector)

    def _known(self) -> dict[str, str]:
        texts = {
            "host": self.name,
            "os": self.os,
            "arch": self.arch,
            "container_id": self.container_id,
            "k8s_node": self.k8s_node,
            "k8s_pod": self.k8s_pod,
            "k8s_namespace": self.k8s_namespace,
            "region": self.region,
            "zone": self.zone,
            "environment": self.environment,
        }
        return {key: value for key, value in texts.items() if value}


class HostCollector:
    """Reports a host to a registry. All are equal, so that a registry has one."""

    __slots__ = ("_host", "_target_info")

    def __init__(self, host: Host, *, target_info: bool = False) -> None:
        self._host = host
        self._target_info = target_info

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostCollector)

    def __hash__(self) -> int:
        return hash(HostCollector)

    def collect(self) -> list[FamilySnapshot]:
        """Return what is known of the host."""
        info = "Where the process runs, in its tags; always 1."
        known = self._host._known()
        families = [family("info", "host_info", [(dict(known), 1)], description=info)]
        if self._target_info:
            attributes = self._host.attributes()
            families.append(family("info", "target_info", [(attributes, 1)], description="What is scraped; always 1."))
        for name, unit, description, value in (
            ("host_cpu_count", "", "CPUs of the machine.", self._host.cpu_count),
            ("host_cpu_limit", "", "CPUs' worth of time that the process may use.", self._host.cpu_limit),
            ("host_memory_limit", "bytes", "Memory that the process may use.", self._host.memory_limit),
        ):
            if value is not None:
                families.append(family("gauge", name, [({}, value)], description=description, unit=unit))
        return families


def detect_host(*, root: str | os.PathLike[str] = "/", environ: Mapping[str, str] | None = None) -> Host:
    """Detect where this process runs, from files and environment variables alone. What is not known is `None`.

    It never fails because of what it finds: a file that is missing, forbidden, endless or no text, or a variable that is
    malformed, leaves a field unknown. Texts lose their control characters and are truncated to 200 characters.

    Args:
        root: the directory that has `/proc`, `/sys` and `/var/run`, such as `/host`. The system, the architecture and the
            number of CPUs always come from Python.
        environ: the variables to use, instead of `os.environ`.
    """
    tree, environment = Tree(root), Environment(os.environ if environ is None else environ)
    return Host(
        name=clean(tree.read("/proc/sys/kernel/hostname")) or _asked(platform.node),
        os=_lower(_asked(platform.system)),
        arch=_architecture(_lower(_asked(platform.machine))),
        cpu_count=os.cpu_count(),
        cpu_limit=cgroup.cpu_limit(tree),
        memory_limit=cgroup.memory_limit(tree),
        container_id=container_id(tree) or environment.attribute("container.id"),
        k8s_node=kubernetes.node(environment),
        k8s_pod=kubernetes.pod(environment),
        k8s_namespace=kubernetes.namespace(environment, tree),
        region=environment.region,
        zone=environment.zone,
        environment=environment.deployment,
    )


def _asked(ask: Callable[[], str]) -> str | None:
    try:
        return clean(ask())
    except Exception:  # `platform` runs other programs on some systems, each with its own way to fail
        return None


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _architecture(machine: str | None) -> str | None:
    return _ARCHITECTURES.get(machine, machine) if machine else None
