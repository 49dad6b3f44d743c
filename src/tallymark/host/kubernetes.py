"""Where in a Kubernetes cluster the process runs: from variables that the pod's manifest sets, and what every pod has."""

from __future__ import annotations

from tallymark.host.environment import Environment
from tallymark.host.tree import Tree
from tallymark.host.value import clean

__all__ = ["namespace", "node", "pod"]

_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


def node(environment: Environment) -> str | None:
    """Return the node's name. A pod knows it only if its manifest sets a variable."""
    # NODE_NAME comes last: other systems use it too.
    named = environment.variable("K8S_NODE_NAME", "KUBERNETES_NODE_NAME", "NODE_NAME")
    return named or environment.attribute("k8s.node.name")


def pod(environment: Environment) -> str | None:
    """Return the pod's name: if its manifest sets no variable, the host name."""
    named = environment.variable("POD_NAME", "K8S_POD_NAME", "KUBERNETES_POD_NAME") or environment.attribute("k8s.pod.name")
    return named or _host_of_pod(environment)


def _host_of_pod(environment: Environment) -> str | None:
    if not environment.variable("KUBERNETES_SERVICE_HOST"):
        return None
    name = environment.variable("HOSTNAME")
    return None if name == node(environment) else name  # a pod on the host's network has the host's name


def namespace(environment: Environment, tree: Tree) -> str | None:
    """Return the pod's namespace."""
    return (
        environment.variable("POD_NAMESPACE", "K8S_NAMESPACE", "KUBERNETES_NAMESPACE")
        or clean(tree.read(_NAMESPACE_FILE))
        or environment.attribute("k8s.namespace.name")
    )
