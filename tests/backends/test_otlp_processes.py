"""OTLP over forks: parent and child each have a connection and an id of their own, whatever the parent had open."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from otlp_server import grpc_receiver, http_receiver

PROGRAM = """if True:
    import os, sys, time
    import tallymark as tm
    from tallymark.backends import OTLP
    from tallymark.client.deadline import Deadline

    port, protocol, uses_it_before, shared_name = sys.argv[1:]
    otlp = OTLP(f"http://127.0.0.1:{port}", protocol=protocol, resource={})
    otlp.shared_name = shared_name

    def report(who):
        registry = tm.Registry(self_metrics=False)
        registry.gauge("g").set(1, who=who)
        otlp.send(list(otlp.encode(registry.snapshot(), 0.0)), Deadline(10, time.monotonic))

    if uses_it_before == "yes":
        report("parent")
    child = os.fork()
    if not child:
        report("child")
        report("child")
        otlp.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    report("parent")
    otlp.close()
"""


def ids(received: Any) -> list[tuple[str, str]]:
    """Return who sent each request, and the id of the instance."""
    found = []
    for request in received.requests:
        (resource,) = request.resource_metrics
        (point,) = resource.scope_metrics[0].metrics[0].gauge.data_points
        about = {pair.key: pair.value.string_value for pair in [*resource.resource.attributes, *point.attributes]}
        found.append((about["who"], about["service.instance.id"]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("uses_it_before", ["yes", "no"], ids=["open", "not open"])
def test_a_forked_child_reports_too_as_another_instance(protocol: str, uses_it_before: str) -> None:
    with (grpc_receiver if protocol == "grpc" else http_receiver)() as received:
        arguments = [str(received.port), protocol, uses_it_before, ""]
        subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments], check=True, timeout=60)
        found = ids(received)
        assert received.connections == (2 if protocol != "grpc" else 0)  # the child's, and the parent's, which stays open
    assert [who for who, _ in found] == [*(["parent"] if uses_it_before == "yes" else []), "child", "child", "parent"]
    by_who = {who: {one for other, one in found if other == who} for who in ("parent", "child")}
    assert [len(one) for one in by_who.values()] == [1, 1]
    assert by_who["parent"] != by_who["child"]


@pytest.mark.slow
def test_of_a_registry_that_is_shared_parent_and_child_are_one_instance() -> None:
    with http_receiver() as received:
        arguments = [str(received.port), "http/protobuf", "yes", "/dev/shm/mine"]
        subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments], check=True, timeout=60)
        assert len({one for _, one in ids(received)}) == 1
