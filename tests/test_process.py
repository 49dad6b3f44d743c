"""What a process reports of itself: the names that Prometheus users know, and values that the operating system confirms."""

from __future__ import annotations

import builtins
import gc
import json
import math
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

import tallymark as tm
from tallymark import process
from tallymark.process import process_metrics
from tallymark.processes.proc import Proc, parse_boot_time, parse_max_fds, parse_stat

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel here has no /proc")
cpython = pytest.mark.skipif(platform.python_implementation() != "CPython", reason="gc.get_stats() is CPython's")

STAT = (
    b" S 4570 5623 4570 0 -1 4194560 1409 31 7 0 250 75 4 9 20 0 7 0 218087 313344000 4070 18446744073709551615 1 2 3 0 0 0"
    b" 0 0 0 0 0 0 17 1 0 0 0 0 0 4 5 6 7 8 9 10 0\n"
)


@pytest.fixture
def filled(registry: tm.Registry) -> tm.Registry:
    """A registry with this process' metrics."""
    process_metrics(registry)
    return registry


def value(registry: tm.Registry, name: str, **tags: str) -> float:
    series = registry.snapshot().find(name, tags)
    assert series is not None, name
    return series.value


def peer_registry() -> CollectorRegistry:
    peer = CollectorRegistry()
    for collector in (ProcessCollector, GCCollector, PlatformCollector):
        collector(registry=peer)
    return peer


def in_child(work: Callable[[], object]) -> Any:
    """Return what `work` returns in a forked child, passed through JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said)


# Names


@linux
@cpython
def test_all_that_prometheus_client_reports_is_reported_under_the_same_names_labels_and_types(filled: tm.Registry) -> None:
    text = tm.render_prometheus(filled.snapshot()).decode()
    ours = {family.name: family for family in text_string_to_metric_families(text)}
    for theirs in peer_registry().collect():
        family = ours[theirs.name]
        assert family.type == theirs.type
        samples = {(sample.name, tuple(sorted(sample.labels.items()))) for sample in theirs.samples}
        assert {(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples} == samples


def test_every_metric_is_described(filled: tm.Registry) -> None:
    assert all(family.description for family in filled.snapshot().families)


def test_the_current_registry_is_reported_by_default(registry: tm.Registry) -> None:
    with tm.use(registry):
        process_metrics()
    assert value(registry, "process_cpu_seconds_total") > 0


def test_it_may_be_called_again(filled: tm.Registry) -> None:
    before = {family.name: len(family) for family in filled.snapshot().families}
    process_metrics(filled)
    assert {family.name: len(family) for family in filled.snapshot().families} == before


def test_a_registry_with_strict_limits_and_tags_of_its_own_is_filled_all_the_same(engine: Any) -> None:
    limits = tm.TagLimits(max_tags=2, max_series=1, disallowed_keys=("version",))
    registry = tm.Registry(engine=engine.name, strict=True, limits=limits, tags={"service": "api"})
    process_metrics(registry)
    assert len(registry.snapshot()["python_info"]) == 1


def test_a_null_registry_is_reported_nothing() -> None:
    registry = tm.NullRegistry()
    process_metrics(registry)
    assert registry.snapshot().families == ()


def test_what_is_no_registry_is_rejected() -> None:
    with pytest.raises(TypeError, match="registry must be a Registry, not str"):
        process_metrics("api")  # type: ignore[arg-type]


def test_a_name_that_is_taken_by_another_kind_conflicts(registry: tm.Registry) -> None:
    registry.counter("process_threads")
    with pytest.raises(tm.MetricConflictError, match="process_threads"):
        process_metrics(registry)


# Values


def test_cpu_seconds_are_the_process_s_own(filled: tm.Registry) -> None:
    before = time.process_time()
    seconds = value(filled, "process_cpu_seconds_total")
    assert before <= seconds <= time.process_time()
    user, system, *_ = os.times()
    assert seconds == pytest.approx(user + system, abs=1)


@linux
def test_memory_is_within_what_the_kernel_accounts_for(filled: tm.Registry) -> None:
    resident = value(filled, "process_resident_memory_bytes")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 1_000_000 < resident <= most * 1.1  # the two are accounted for lazily, each on its own
    assert resident <= value(filled, "process_virtual_memory_bytes")


@linux
def test_the_start_time_lies_in_the_past_and_stays(filled: tm.Registry) -> None:
    start = value(filled, "process_start_time_seconds")
    assert 0 < start <= time.time() + 1  # the kernel gives its boot time in whole seconds
    assert start == value(filled, "process_start_time_seconds")


@linux
def test_open_files_are_counted(filled: tm.Registry) -> None:
    before = value(filled, "process_open_fds")
    assert before >= 1
    with open(os.devnull), open(os.devnull):
        assert value(filled, "process_open_fds") == before + 2
    assert value(filled, "process_open_fds") == before


def test_the_limit_of_open_files_is_the_one_in_force(filled: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert value(filled, "process_max_fds") == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert value(filled, "process_max_fds") == math.inf


@linux
def test_threads_are_counted(filled: tm.Registry) -> None:
    def count() -> list[float]:
        before = value(filled, "process_threads")
        leave = threading.Event()
        thread = threading.Thread(target=leave.wait)
        thread.start()
        try:
            return [before, value(filled, "process_threads")]
        finally:
            leave.set()
            thread.join()

    assert in_child(count) == [1, 2]  # here, the kernel may still be ending a thread that another test has joined


@cpython
def test_the_garbage_collector_s_work_is_reported_by_generation(filled: tm.Registry) -> None:
    before = value(filled, "python_gc_collections_total", generation="2")
    gc.collect()
    assert value(filled, "python_gc_collections_total", generation="2") == before + 1
    assert len(filled.snapshot()["python_gc_objects_collected_total"]) == len(gc.get_stats())


def test_python_info_names_the_interpreter(filled: tm.Registry) -> None:
    (info,) = filled.snapshot()["python_info"]
    assert info.value == 1
    assert info.tags["version"] == platform.python_version()
    assert (info.tags["major"], info.tags["minor"]) == tuple(map(str, sys.version_info[:2]))


# Forks


@linux
def test_a_forked_child_reports_itself(filled: tm.Registry) -> None:
    def read() -> list[float]:
        return [value(filled, f"process_{name}") for name in ("start_time_seconds", "cpu_seconds_total", "threads")]

    before = time.process_time()
    start = value(filled, "process_start_time_seconds")
    child_start, child_cpu, child_threads = in_child(read)
    assert child_start > start  # the imports alone took many a tick of the kernel's clock
    assert child_cpu < before
    assert child_threads == 1


# What cannot be known


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that has no /proc."""

    def denying(function: Callable[..., Any]) -> Callable[..., Any]:
        def deny(path: Any, *args: Any, **kwargs: Any) -> Any:
            if str(path).startswith("/proc"):
                raise FileNotFoundError(path)
            return function(path, *args, **kwargs)

        return deny

    monkeypatch.setattr(builtins, "open", denying(open))
    monkeypatch.setattr(os, "listdir", denying(os.listdir))


@pytest.mark.usefixtures("no_proc")
def test_without_proc_what_is_not_known_is_not_registered(strict_registry: tm.Registry) -> None:
    process_metrics(strict_registry)
    names = {family.name for family in strict_registry.snapshot().families}
    assert {"process_cpu_seconds_total", "process_max_fds", "python_info"} <= names
    unknown = {"resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds", "open_fds", "threads"}
    assert not {f"process_{name}" for name in unknown} & names


@linux
def test_a_value_that_cannot_be_read_later_is_left_out_and_accounted_for(
    filled: tm.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_files(path: str) -> list[str]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "listdir", no_more_files)
    snapshot = filled.snapshot()
    assert "process_open_fds" not in snapshot
    assert "process_threads" in snapshot
    assert value(filled, "tallymark_rejected", metric="process_open_fds", reason="collector") >= 1


@linux
def test_without_a_boot_time_there_is_no_start_time(registry: tm.Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_boot_time", lambda: math.nan)
    process_metrics(registry)
    assert "process_start_time_seconds" not in registry.snapshot()
    assert "process_threads" in registry.snapshot()


# Recorded texts


@pytest.mark.parametrize("name", [b"python", b"tmux: server", b"(sd-pam)", b"a) S 1 (b", b")", b"", b"\xff\n) 1 2"])
def test_a_stat_is_read_whatever_the_program_is_called(name: bytes) -> None:
    stat = parse_stat(b"5630 (" + name + b")" + STAT)
    assert stat == (7, 218087, 313344000, 4070, 325)
    assert (stat.threads, stat.cpu_ticks) == (7, 325)


@pytest.mark.parametrize(
    "text", [b"", b"5630 (python", b"5630 (python) S 1 2", b"5630 (python)" + STAT.replace(b"218087", b"-")]
)
def test_a_stat_of_another_form_is_a_value_or_index_error(text: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse_stat(text)


def test_the_boot_time_is_found_among_the_lines() -> None:
    assert parse_boot_time(b"cpu  1 2 3\nintr 9 0 0\n\nctxt 12\nbtime 1795438612\nprocesses 5630\n") == 1795438612.0
    assert math.isnan(parse_boot_time(b"cpu  1 2 3\n"))


LIMITS = b"""Limit                     Soft Limit           Hard Limit           Units     \n\
Max file size             unlimited            unlimited            bytes     \n\
Max open files            1024                 524288               files     \n\
Max locked memory         8388608              8388608              bytes     \n"""


def test_the_limit_of_open_files_is_found_among_the_limits() -> None:
    assert parse_max_fds(LIMITS) == 1024
    assert parse_max_fds(LIMITS.replace(b"1024  ", b"unlimited")) == math.inf
    for text in (b"", LIMITS.replace(b"1024", b"few"), b"Max open files"):
        with pytest.raises((ValueError, IndexError)):
            parse_max_fds(text)


def test_a_folder_like_proc_is_read(tmp_path: Path) -> None:
    for pid in ("self", "5630"):
        (tmp_path / pid / "fd").mkdir(parents=True)
        (tmp_path / pid / "stat").write_bytes(b"5630 (a b)" + STAT)
        (tmp_path / pid / "limits").write_bytes(LIMITS)
        for fd in range(3):
            (tmp_path / pid / "fd" / str(fd)).touch()
    (tmp_path / "stat").write_bytes(b"btime 100\n")
    proc = Proc(str(tmp_path))
    assert proc.stat(5630) == proc.stat() == (7, 218087, 313344000, 4070, 325)
    assert (proc.open_fds(5630), proc.open_fds()) == (3, 2)  # less the one that lists its own
    assert proc.max_fds(5630) == 1024
    assert proc.boot_time() == 100
    assert proc.namespace() == 0
    with pytest.raises(FileNotFoundError):
        proc.stat(1)
