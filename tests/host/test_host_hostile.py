"""No content of files or variables makes detection fail, wait, or return what no exporter can write."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallymark.host import Host, detect_host
from tallymark.host.value import MAX_READ

NAMESPACE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
PATHS = [
    "proc/self/cgroup",
    "proc/self/mountinfo",
    "proc/sys/kernel/hostname",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "sys/fs/cgroup/memory/memory.limit_in_bytes",
    "sys/fs/cgroup/memory/memory.stat",
    NAMESPACE,
]
VARIABLES = ["OTEL_RESOURCE_ATTRIBUTES", "POD_NAME", "HOSTNAME", "KUBERNETES_SERVICE_HOST", "AWS_REGION", "ZONE", "ENV"]

Files = Callable[[Mapping[str, str | bytes]], Path]


def check(host: Host) -> None:
    """Every field is unknown, or of its declared type."""
    for text in (value for field in fields(host) if isinstance(value := getattr(host, field.name), str)):
        assert text.isprintable()
        assert 0 < len(text.encode()) <= 4 * 200
        assert len(text) <= 200
    assert host.cpu_limit is None or 0 < host.cpu_limit < float("inf")
    assert host.memory_limit is None or 0 < host.memory_limit < 2**60


# Files


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"\x7fELF\x02\x01\x01\x00text", b"\xff\xfe\xfd", b"\n" * 1000, b"1" * 10**6]
)
def test_a_file_that_is_no_text_or_too_long_is_unknown(path: str, content: bytes, files: Files) -> None:
    before = {"proc/self/cgroup": "4:cpu:/\n3:memory:/\n0::/\n", "proc/sys/kernel/hostname": "here\n"}
    host = detect_host(root=files({**before, path: content}), environ={})
    check(host)
    assert (host.cpu_limit, host.memory_limit, host.container_id, host.k8s_namespace) == (None, None, None, None)


def replace_by(kind: str, path: Path) -> None:
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind in {"fifo", "open fifo"}:
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.skipif(sys.platform == "win32", reason="no such files")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["directory", "fifo", "open fifo", "loop", "dangling", "device"])
def test_what_is_no_file_is_unknown_and_holds_nobody_up(kind: str, path: str, files: Files) -> None:
    root = files(dict.fromkeys(PATHS, "1\n") | {"proc/self/cgroup": "4:cpu:/\n3:memory:/\n0::/\n"})
    replace_by(kind, root / path)
    # A reader waits if another process has it open for writing.
    with open(root / path, "r+b", buffering=0) if kind == "open fifo" else contextlib.nullcontext():
        check(detect_host(root=root, environ={}))


def test_no_descriptor_stays_open(files: Files) -> None:
    root = files({"proc/self/cgroup": "0::/\n"})
    (root / "proc/self/mountinfo").mkdir()
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        detect_host(root=root, environ={})
    assert len(os.listdir("/dev/fd")) == before


def test_a_file_that_may_not_be_read_is_unknown(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: str, *arguments: Any, **options: Any) -> int:
        raise PermissionError(13, "Permission denied", path)

    root = files({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n", NAMESPACE: "shop\n"})
    monkeypatch.setattr("tallymark.host.tree.os.open", forbidden)
    host = detect_host(root=root, environ={})
    assert (host.memory_limit, host.k8s_namespace) == (None, None)


@pytest.mark.parametrize("root", ["/nonexistent", "", "\0", "/dev/null", "x" * 10_000, "\udcff"])
def test_a_root_that_is_none_gives_nothing(root: str) -> None:
    host = detect_host(root=root, environ={})
    if root:
        assert (host.cpu_limit, host.memory_limit, host.container_id) == (None, None, None)


def test_paths_in_files_do_not_lead_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("4096\n")
    root = tmp_path / "a" / "root"
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "proc/self/mountinfo").write_text("1 2 3 / /../.. rw - cgroup2 cgroup2 rw\n")
    assert detect_host(root=root, environ={}).memory_limit is None


def test_of_a_long_file_whole_lines_are_read(files: Files) -> None:
    lines = "".join(f"{number} 1 0:28 / /mnt/{number} rw - ext4 /dev/sda1 rw\n" for number in range(3000))
    assert len(lines) > MAX_READ
    mounts = "30 1 0:28 / /groups rw - cgroup2 cgroup2 rw\n" + lines
    content = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounts, "groups/memory.max": "4096\n"}
    assert detect_host(root=files(content), environ={}).memory_limit == 4096


@pytest.mark.slow
@pytest.mark.parametrize("line", ["0::/a\n", "0::" + "/a" * 30_000 + "\n", "4:cpu:/\n3:memory:/a/../a\n"])
def test_many_groups_and_mounts_take_little_reading(line: str, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    true_open = os.open

    def counting(path: str, flags: int) -> int:
        reads.append(path)
        return true_open(path, flags)

    monkeypatch.setattr("tallymark.host.tree.os.open", counting)
    mounts = "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" * 1000
    detect_host(root=files({"proc/self/cgroup": line * 2000, "proc/self/mountinfo": mounts}), environ={})
    assert len(reads) < 3000


def test_many_groups_are_not_compared_with_many_mounts(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr("tallymark.host.cgroup._levels", lambda mount, path: looked_at.append(path) or [])  # type: ignore[func-returns-value]
    mounts = "1 1 0:1 /b /elsewhere rw - cgroup2 cgroup2 rw\n" * 100
    detect_host(root=files({"proc/self/cgroup": "0::/a\n" * 10_000, "proc/self/mountinfo": mounts}), environ={})
    assert len(looked_at) < 10_000


# Variables


@pytest.mark.parametrize("value", ["", " ", "\x00", "\r\n\t", "\u202e\u200b", "\udcff", "x\udcff", None, 7, b"eu"])
def test_an_empty_value_is_unknown(value: Any, tmp_path: Path) -> None:
    environ = dict.fromkeys(VARIABLES, value)
    host = detect_host(root=tmp_path, environ=environ)
    assert (host.k8s_pod, host.region, host.zone, host.environment) == (None, None, None, None)


def test_control_characters_are_stripped(tmp_path: Path) -> None:
    assert detect_host(root=tmp_path, environ={"REGION": " \x1b[31meu\x00-\u202ewest\r\n"}).region == "[31meu-west"


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    assert detect_host(root=tmp_path, environ={"REGION": "x" * 10**6}).region == "x" * 199 + "…"
    assert detect_host(root=tmp_path, environ={"REGION": "x" * 200}).region == "x" * 200


def test_a_platform_that_fails_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise RuntimeError("no")

    for name in ("node", "system", "machine"):
        monkeypatch.setattr(f"platform.{name}", fail)
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert detect_host(root=tmp_path, environ={}) == Host()


# Anything

lines = st.sampled_from(
    [
        *(b"0::/\n", b"4:cpu:/a/b\n", b"3:memory:/\n", b"0::/../x\n", b"1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        *(b"1 1 0:1 /a /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", b"1 1 0:1 / \\777\\000 rw - cgroup2 x rw\n"),
        *(b"max", b"100000 ", b"1", b"-1", b"hierarchical_memory_limit 7\n", b"/", b"\\057", b" - ", b",", b"\xff", b"\x00"),
    ]
)
content = st.binary(max_size=200) | st.lists(lines | st.binary(max_size=4), max_size=8).map(b"".join)
values = st.text(st.characters(), max_size=300) | st.lists(st.sampled_from(["cloud.region", "=", ",", "%", "\udcff", "é"])).map(
    "".join
)


@pytest.mark.slow
@given(content=st.dictionaries(st.sampled_from(PATHS), content), environ=st.dictionaries(st.sampled_from(VARIABLES), values))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_there_detection_does_not_fail(
    content: dict[str, bytes], environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any")
    for path, data in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    check(detect_host(root=root, environ=environ))


# Links

NAMESPACE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
@pytest.mark.parametrize("target", ["{outside}", "../../../../../../../../../../../../../../../..{outside}"])
@pytest.mark.parametrize("at", ["hostname", "directory"])
def test_links_do_not_lead_out_of_the_root(tmp_path: Path, target: str, at: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "hostname").write_text("secret\n")
    (tmp_path / "outside" / "namespace").write_text("secret\n")
    outside = target.format(outside=tmp_path / "outside")
    root = tmp_path / "root"
    if at == "hostname":
        link(root / "proc/sys/kernel/hostname", f"{outside}/hostname")
        link(root / NAMESPACE, f"{outside}/namespace")
    else:
        link(root / "proc/sys/kernel", outside)
        link((root / NAMESPACE).parent, outside)
    host = detect_host(root=root, environ={})
    assert host.name != "secret"
    assert host.k8s_namespace is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
def test_links_are_followed_as_if_the_root_were_all_there_is(tmp_path: Path) -> None:
    link(tmp_path / "var/run", "/run")
    link(tmp_path / "run/secrets", "../../../mnt/./secrets")  # nothing is above the root
    target = tmp_path / "mnt/secrets/kubernetes.io/serviceaccount/namespace"
    target.parent.mkdir(parents=True)
    target.write_text("shop\n")
    assert detect_host(root=tmp_path, environ={}).k8s_namespace == "shop"
