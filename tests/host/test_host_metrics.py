"""A host as tags and as gauges, and the page that documents it."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tallymark as tm
from tallymark.host import Host, detect_host

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "host.md").read_text()

FULL = Host(
    name="api-1",
    os="linux",
    arch="amd64",
    cpu_count=8,
    cpu_limit=1.5,
    memory_limit=2**29,
    container_id="4f79",
    k8s_node="node-3",
    k8s_pod="api-1",
    k8s_namespace="shop",
    region="eu-central-1",
    zone="eu-central-1a",
    environment="production",
)
COMMON = {
    "host": "api-1",
    "k8s_namespace": "shop",
    "region": "eu-central-1",
    "zone": "eu-central-1a",
    "environment": "production",
}
KNOWN = COMMON | {"os": "linux", "arch": "amd64", "container_id": "4f79", "k8s_node": "node-3", "k8s_pod": "api-1"}


def values(registry: tm.Registry) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = [family for family in registry.snapshot().families if family.name.startswith("host_")]
    return {family.name: [(dict(series.tags), series.value) for series in family] for family in families}


# Tags


def test_tags_are_few_and_leave_a_few_for_a_services_own() -> None:
    assert FULL.tags() == COMMON
    assert len(FULL.tags()) <= tm.TagLimits().max_tags // 2


def test_what_is_not_known_is_no_tag() -> None:
    assert Host().tags() == {}
    assert Host(region="eu").tags() == {"region": "eu"}


def test_every_series_of_a_registry_may_have_them(engine: object) -> None:
    registry = tm.Registry(tags=FULL.tags(), strict=True, engine=engine.name)  # type: ignore[attr-defined]
    registry.counter("requests").inc(method="GET")
    series = registry.snapshot().find("requests", COMMON | {"method": "GET"})
    assert series is not None
    assert series.value == 1


# Gauges


def test_everything_that_is_known_is_reported_once(strict_registry: tm.Registry) -> None:
    FULL.inject(strict_registry)
    assert values(strict_registry) == {
        "host_info": [(KNOWN, 1.0)],
        "host_cpu_count": [({}, 8.0)],
        "host_cpu_limit": [({}, 1.5)],
        "host_memory_limit": [({}, float(2**29))],
    }


def test_injecting_again_changes_nothing(strict_registry: tm.Registry) -> None:
    FULL.inject(strict_registry)
    before = tm.render_prometheus(strict_registry.snapshot())
    FULL.inject(strict_registry)
    assert tm.render_prometheus(strict_registry.snapshot()) == before
    assert b"host_memory_limit_bytes 5" in before


def test_another_host_replaces_what_was_reported(strict_registry: tm.Registry) -> None:
    FULL.inject(strict_registry)
    dataclasses.replace(FULL, zone=None, cpu_count=2, cpu_limit=None, memory_limit=None).inject(strict_registry)
    known = {key: value for key, value in KNOWN.items() if key != "zone"}
    assert values(strict_registry)["host_info"] == [(known, 1.0)]
    assert values(strict_registry)["host_cpu_count"] == [({}, 2.0)]
    assert {"host_cpu_limit", "host_memory_limit"}.isdisjoint(values(strict_registry))


def test_a_number_that_is_not_known_is_not_registered(registry: tm.Registry) -> None:
    Host(os="linux").inject(registry)
    assert values(registry) == {"host_info": [({"os": "linux"}, 1.0)]}


def test_of_an_unknown_host_only_its_existence_is_reported(registry: tm.Registry) -> None:
    Host().inject(registry)
    assert values(registry) == {"host_info": [({}, 1.0)]}


def test_a_registry_with_narrow_limits_and_the_same_tags_takes_it(engine: object) -> None:
    limits = tm.TagLimits(max_tags=5, max_series=1)
    registry = tm.Registry(tags=FULL.tags(), limits=limits, strict=True, engine=engine.name)  # type: ignore[attr-defined]
    FULL.inject(registry)
    assert values(registry)["host_info"] == [(KNOWN, 1.0)]


def test_the_current_registry_is_the_default() -> None:
    with tm.use(tm.Registry()) as registry:
        FULL.inject()
        assert "host_info" in values(registry)


def test_a_null_registry_takes_it() -> None:
    FULL.inject(tm.NullRegistry())


def test_a_wrong_registry_and_a_name_that_is_taken_are_errors(registry: tm.Registry) -> None:
    with pytest.raises(TypeError, match="registry must be a Registry"):
        FULL.inject("registry")  # type: ignore[arg-type]
    registry.counter("host_info")
    with pytest.raises(tm.MetricConflictError, match="host_info"):
        FULL.inject(registry)


# This machine


def test_this_machine_is_as_python_knows_it() -> None:
    host = detect_host()
    assert host.name == platform.node()
    assert host.os == platform.system().lower()
    assert host.arch in {platform.machine().lower(), "amd64", "arm64"}
    assert host.cpu_count == os.cpu_count()


@pytest.mark.parametrize(
    ("machine", "arch"), [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")]
)
def test_an_architecture_has_one_name_on_all_systems(machine: str, arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert detect_host().arch == arch


def test_a_host_is_a_value() -> None:
    assert dataclasses.replace(FULL) == FULL
    assert hash(FULL) == hash(dataclasses.replace(FULL))
    with pytest.raises(dataclasses.FrozenInstanceError):
        FULL.region = "us"  # type: ignore[misc]
    assert not hasattr(FULL, "__dict__")


def test_importing_it_loads_little() -> None:
    sources = [path.read_text() for path in (ROOT / "src" / "tallymark" / "host").glob("*.py")]
    modules = {module for source in sources for module in re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)}
    light = {"__future__", "collections", "dataclasses", "itertools", "os", "platform", "re", "stat", "tallymark", "typing"}
    assert modules <= light


# The page


def test_the_pages_example_runs() -> None:
    program, output = re.findall(r"```(?:python)?\n(.*?)```", DOCS, re.DOTALL)[:2]
    environ = os.environ | {"AWS_REGION": "eu-central-1", "ENVIRONMENT": "production"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ)
    names = set(re.findall(r"^\w+(?=[ {])", output, re.MULTILINE))
    assert {"host_info", "host_cpu_count", "requests_total"} <= names
    assert names - set(re.findall(r"^\w+(?=[ {])", done.stdout, re.MULTILINE)) <= {"host_cpu_limit", "host_memory_limit_bytes"}


def test_the_page_describes_every_field() -> None:
    missing = [field.name for field in dataclasses.fields(Host) if f"| `{field.name}`" not in DOCS]
    assert missing == []
