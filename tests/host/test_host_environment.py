"""What environment variables give, and which of them win."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tallymark.host import detect_host

NAMESPACE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"

# For each field, its sources: the first wins.
PRECEDENCE = {
    "k8s_node": ["K8S_NODE_NAME", "KUBERNETES_NODE_NAME", "NODE_NAME", "k8s.node.name"],
    "k8s_pod": ["POD_NAME", "K8S_POD_NAME", "KUBERNETES_POD_NAME", "k8s.pod.name", "HOSTNAME"],
    "k8s_namespace": ["POD_NAMESPACE", "K8S_NAMESPACE", "KUBERNETES_NAMESPACE", NAMESPACE, "k8s.namespace.name"],
    "region": [
        *("AWS_REGION", "AWS_DEFAULT_REGION", "GOOGLE_CLOUD_REGION", "CLOUD_REGION", "FLY_REGION", "REGION"),
        "cloud.region",
    ],
    "zone": ["AWS_AVAILABILITY_ZONE", "GOOGLE_CLOUD_ZONE", "AVAILABILITY_ZONE", "ZONE", "cloud.availability_zone"],
    "environment": [
        *("ENVIRONMENT", "ENV", "DEPLOYMENT_ENVIRONMENT", "APP_ENV"),
        *("deployment.environment.name", "deployment.environment"),
    ],
    "container_id": ["container.id"],
}
Files = Callable[[Mapping[str, str | bytes]], Path]


def filled(sources: list[str]) -> tuple[dict[str, str], dict[str, str | bytes]]:
    """Return the variables and the files in which the value of each of these sources is its own name."""
    variables = {source: source for source in sources if source.isupper()}
    attributes = ",".join(f"{source}={source}" for source in sources if "." in source and "/" not in source)
    files = {source: f"{source}\n" for source in sources if "/" in source}
    return variables | {"OTEL_RESOURCE_ATTRIBUTES": attributes, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, dict(files)


@pytest.mark.parametrize(
    ("field", "first"), [(field, first) for field, names in PRECEDENCE.items() for first in range(len(names))]
)
def test_the_first_source_that_has_a_value_wins(field: str, first: int, files: Files) -> None:
    sources = PRECEDENCE[field]
    variables, content = filled(sources[first:])
    silent = {name: " \x00\n" for name in sources[:first] if name.isupper()}
    host = detect_host(root=files({"empty": "", **content}), environ=variables | silent)
    assert getattr(host, field) == sources[first]


def test_without_variables_or_files_nothing_is_known(tmp_path: Path) -> None:
    host = detect_host(root=tmp_path, environ={})
    assert {getattr(host, field) for field in PRECEDENCE} == {None}


def test_the_host_name_is_the_pods_only_in_kubernetes(tmp_path: Path) -> None:
    assert detect_host(root=tmp_path, environ={"HOSTNAME": "laptop"}).k8s_pod is None


def test_on_the_hosts_network_the_host_name_is_not_the_pods(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "node-3", "NODE_NAME": "node-3"}
    assert detect_host(root=tmp_path, environ=environ).k8s_pod is None


@pytest.mark.parametrize("path", ["/etc/profile", "~/.shrc", "$HOME/.shrc", "./env.sh"])
def test_the_shells_start_file_is_no_environment(path: str, tmp_path: Path) -> None:
    assert detect_host(root=tmp_path, environ={"ENV": path, "APP_ENV": "test"}).environment == "test"


def test_the_process_own_variables_are_read_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert detect_host(root=tmp_path).region == "eu-central-1"


ATTRIBUTES = {
    "cloud.region=eu": "eu",
    " service.name = x , cloud.region = eu ": "eu",
    "cloud.region=e%2Cu%3D%20x": "e,u= x",
    "cloud.region=a=b": "a=b",
    "cloud.region=first,cloud.region=last": "last",
    "cloud.region=%0a%1b[31meu": "[31meu",
    "cloud.region=100%": "100%",
    "cloud.region": None,
    "cloud.region=": None,
    "=,,==,": None,
    "cloud.region=\udcff": None,
}


@pytest.mark.parametrize("text", ATTRIBUTES)
def test_resource_attributes_are_read_as_opentelemetry_writes_them(text: str, tmp_path: Path) -> None:
    assert detect_host(root=tmp_path, environ={"OTEL_RESOURCE_ATTRIBUTES": text}).region == ATTRIBUTES[text]
