"""Processes that share a registry find the same names in Prometheus, whoever made or read which metric first."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.metric.shared.contents import read_contents
from tallymark.metric.shared.inspect import snapshot_of


def names(registry: tm.Registry) -> dict[str, str]:
    return {one.name: one.exposition_name for one in registry.snapshot().families if not one.name.startswith("tallymark_")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def both(path: Path) -> tuple[tm.Registry, tm.Registry]:
    """Two registries of one file. Each knows of the other what it finds there, as if it were of another process."""
    return tm.Registry(shared=path), tm.Registry(shared=path)


SAME = {"a.b": "a_b", "a/b": "a_b_2", "a_b": "a_b_3"}


@pytest.mark.parametrize("read", ["never", "at once"])
def test_the_order_in_the_file_decides_whoever_reads_first(both: tuple[tm.Registry, tm.Registry], read: str) -> None:
    one, other = both
    for registry, name in ((one, "a.b"), (other, "a/b"), (other, "a.b"), (one, "a/b"), (other, "a_b"), (one, "a_b")):
        registry.gauge(name).set(1)
        if read == "at once":
            names(registry)
    assert names(other) == names(one) == SAME
    assert names(tm.Registry(shared=one._families.memory.path)) == SAME  # type: ignore[attr-defined]


def test_a_metric_that_was_unregistered_keeps_its_place(both: tuple[tm.Registry, tm.Registry]) -> None:
    one, other = both
    for name in SAME:
        one.gauge(name).set(1)
    assert names(one) == SAME
    one.unregister("a.b")
    rest = {name: given for name, given in SAME.items() if name != "a.b"}
    assert names(one) == names(other) == rest
    one.gauge("a.b").set(1)
    assert sorted(names(one).items()) == sorted(names(other).items()) == sorted(SAME.items())


def test_who_inspects_the_file_finds_them_too(both: tuple[tm.Registry, tm.Registry], path: Path) -> None:
    for name in SAME:
        both[0].gauge(name).set(1)
    assert {one.name: one.exposition_name for one in snapshot_of(read_contents(path)).families} == SAME


def test_the_log_tells_what_the_order_decided(both: tuple[tm.Registry, tm.Registry], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="tallymark")
    one, other = both
    one.gauge("a.b").set(1)
    other.gauge("a_b").set(1)
    assert caplog.messages == []  # it has not read yet what else there is
    other.gauge("a.b").set(1)
    expected = (
        "gauge 'a.b' and gauge 'a_b' have one name in Prometheus, 'a_b': 'a.b' keeps it, and 'a_b' gets a number; rename one of"
        " them"
    )
    assert caplog.messages == [expected]
    assert names(other) == {"a.b": "a_b", "a_b": "a_b_2"}
    assert caplog.messages == [expected]
    assert names(one) == names(other)


def test_a_child_that_makes_them_in_another_order_agrees(path: Path, children: Any) -> None:
    registry = tm.Registry(shared=path)
    registry.counter("a.b").inc()

    def work() -> None:
        own = tm.Registry(shared=path)
        own.counter("a/b").inc()
        own.counter("a.b").inc()
        assert names(own) == {"a.b": "a_b_total", "a/b": "a_b_2_total"}

    assert children.run(work) == 0
    registry.counter("a/b").inc()
    assert names(registry) == {"a.b": "a_b_total", "a/b": "a_b_2_total"}
