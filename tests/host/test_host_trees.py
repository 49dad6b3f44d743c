"""What is found in recorded trees of files: limits, container, namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tallymark.host import Host, detect_host
from tallymark.host.cgroup import Group, parse_groups
from tallymark.host.mount import parse_mounts

ID = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
OTHER_ID = "9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d"
MIB = 2**20

Trees = Callable[[str], Path]
Files = Callable[[Mapping[str, str | bytes]], Path]


def detect(root: Path) -> Host:
    return detect_host(root=root, environ={})


# Limits

LIMITS = {
    "bare_metal": (None, None),
    "docker_v1": (1.5, 512 * MIB),
    "docker_v2": (0.5, 256 * MIB),
    "kubernetes_v1": (None, 256 * MIB),
    "containerd_kubernetes_v2": (None, 128 * MIB),
    "crio_kubernetes_v2": (0.25, None),
    "podman_rootless": (1.5, 64 * MIB),
    "systemd_slice": (2.0, 1024 * MIB),
    "nested_quota": (1.25, 2048 * MIB),
    "hybrid": (None, None),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_least_limit_on_the_way_to_the_group_holds(name: str, tree: Trees) -> None:
    host = detect(tree(name))
    assert (host.cpu_limit, host.memory_limit) == LIMITS[name]


def test_every_recorded_tree_is_tested() -> None:
    assert {path.stem for path in (Path(__file__).parent / "trees").iterdir()} == set(LIMITS)


def test_a_memory_limit_is_a_whole_number(tree: Trees) -> None:
    assert type(detect(tree("docker_v1")).memory_limit) is int


@pytest.mark.parametrize(
    "text", ["", "max", "max 100000", "100000 0", "0 100000", "-1 100000", "fast 100000", "1e5 100000", "١ ١"]
)
def test_what_is_no_quota_is_no_limit(text: str, files: Files) -> None:
    assert detect(files({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": text})).cpu_limit is None


@pytest.mark.parametrize(
    "text", ["", "max", "-1", "0", "many", "9223372036854771712", "18446744073709551615", "9" * 5000, "1_000"]
)
def test_what_is_no_amount_of_memory_is_no_limit(text: str, files: Files) -> None:
    v2 = files({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": text})
    assert detect(v2).memory_limit is None
    v1 = files({"proc/self/cgroup": "3:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": text})
    assert detect(v1).memory_limit is None


def test_without_mountinfo_the_usual_places_are_read(files: Files) -> None:
    v1 = {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "4096\n",
    }
    host = detect(files(v1))
    assert (host.cpu_limit, host.memory_limit) == (3.0, 4096)


def test_the_group_of_somebody_else_that_is_mounted_elsewhere_does_not_count(files: Files) -> None:
    mounts = (
        "30 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
        "31 1 0:28 /docker/other /watched rw - cgroup2 cgroup2 rw\n"
        "32 1 0:28 /docker/min /watched rw - cgroup2 cgroup2 rw\n"
    )  # fmt: skip
    content = {"proc/self/cgroup": "0::/docker/mine\n", "proc/self/mountinfo": mounts, "watched/memory.max": "1\n"}
    assert detect(files(content | {"sys/fs/cgroup/docker/mine/memory.max": "2\n"})).memory_limit == 2


def test_a_group_whose_path_is_from_another_namespace_is_read_where_it_is_mounted(files: Files) -> None:
    mounts = "30 1 0:28 /../../pod7 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    content = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounts, "sys/fs/cgroup/memory.max": "4096\n"}
    assert detect(files(content)).memory_limit == 4096


def test_a_group_below_the_one_that_is_mounted_is_found(files: Files) -> None:
    mounts = "30 1 0:28 /docker/mine /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    content = {"proc/self/cgroup": "7:memory:/docker/mine/system.slice/api\n", "proc/self/mountinfo": mounts}
    limit = {"sys/fs/cgroup/memory/system.slice/api/memory.limit_in_bytes": "4096\n"}
    assert detect(files(content | limit)).memory_limit == 4096


def test_a_mount_point_with_a_space_is_found(files: Files) -> None:
    mounts = "30 1 0:28 / /my\\040groups rw - cgroup2 cgroup2 rw\n"
    content = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounts, "my groups/memory.max": "4096\n"}
    assert detect(files(content)).memory_limit == 4096


# Container

IDS = {
    "bare_metal": None,
    "docker_v1": ID,
    "docker_v2": ID,
    "kubernetes_v1": OTHER_ID,
    "containerd_kubernetes_v2": None,
    "crio_kubernetes_v2": OTHER_ID,
    "podman_rootless": OTHER_ID,
    "systemd_slice": None,
}


@pytest.mark.parametrize("name", IDS)
def test_the_container_is_found_by_its_groups_or_else_by_its_own_mounts(name: str, tree: Trees) -> None:
    assert detect(tree(name)).container_id == IDS[name]


GROUPS = {
    f"/docker/{ID}": ID,
    f"/system.slice/docker-{ID}.scope": ID,
    f"/kubepods/besteffort/pod1-2-3/{ID}": ID,
    f"/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{ID}.scope": ID,
    f"/kubepods.slice/kubepods-pod1_2.slice/crio-{ID}.scope": ID,
    f"/system.slice/containerd.service/kubepods-burstable-pod1_2.slice:cri-containerd:{ID}": ID,
    f"/machine.slice/libpod-{ID}.scope": ID,
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container": ID,
    f"/machine.slice/libpod_pod_{OTHER_ID}.slice/libpod-{ID}.scope": ID,
    f"/docker/{OTHER_ID}/docker/{ID}": ID,
    f"/docker/{ID}/system.slice/cron.service": ID,
    f"/ecs/{ID[:32]}/{OTHER_ID}": OTHER_ID,
    f"/ecs/{ID[:32]}/{ID[:32]}-1234567890": f"{ID[:32]}-1234567890",
    f"/../{ID}": ID,
    f"/machine.slice/libpod-conmon-{ID}.scope": None,
    f"/kubepods.slice/crio-conmon-{ID}.scope": None,
    f"/machine.slice/libpod_pod_{ID}.slice": None,
    f"/docker/{ID}0": None,
    f"/docker/{ID[1:]}": None,
    f"/docker/{ID.upper()}": None,
    "/init.scope": None,
    "/": None,
}


@pytest.mark.parametrize("path", GROUPS)
@pytest.mark.parametrize("line", ["0::", "4:cpu,cpuacct:", "1:name=systemd:"])
def test_the_id_is_found_in_every_runtimes_form_of_group(line: str, path: str, files: Files) -> None:
    assert detect(files({"proc/self/cgroup": f"{line}{path}\n"})).container_id == GROUPS[path]


MOUNTS = {
    f"/var/lib/docker/containers/{ID}/hostname /etc/hostname": ID,
    f"/@/var/lib/docker/containers/{ID}/resolv.conf//deleted /etc/resolv.conf": ID,
    f"/data/nerdctl/1935db59/containers/default/{ID}/hostname /etc/hostname": ID,
    f"/containers/storage/overlay-containers/{ID}/userdata/.containerenv /run/.containerenv": ID,
    f"/home/me/.local/share/containers/storage/vfs-containers/{ID}/userdata/hosts /etc/hosts": ID,
    f"/var/lib/docker/containers/{ID}/hostname /host/etc/hostname": None,
    f"/var/lib/docker/volumes/{ID}/_data /etc/hostname": None,
    f"/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname": None,
}


@pytest.mark.parametrize("mount", MOUNTS)
def test_the_id_is_found_in_every_runtimes_form_of_mount(mount: str, files: Files) -> None:
    mounts = f"653 644 8:1 {mount} rw,relatime - ext4 /dev/sda1 rw\n"
    assert detect(files({"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounts})).container_id == MOUNTS[mount]


def test_in_kubernetes_what_the_mounts_show_is_the_sandboxs_and_not_reported(files: Files) -> None:
    mounts = (
        f"653 644 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
        "654 644 8:1 /var/lib/kubelet/pods/5c5979ec/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"
    )
    assert detect(files({"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mounts})).container_id is None


# Names


@pytest.mark.parametrize(("name", "host", "namespace"), [("bare_metal", "metal-7", None), ("kubernetes_v1", None, "shop")])
def test_host_and_namespace_are_what_their_files_hold(name: str, host: str | None, namespace: str | None, tree: Trees) -> None:
    found = detect(tree(name))
    assert found.name == (host or "api-6d4cf56db6-x2x9v")
    assert found.k8s_namespace == namespace


# Parts


def test_groups_are_parsed_and_other_lines_are_left_out() -> None:
    text = "4:cpu,cpuacct:/a:b\nnonsense\n1:name=systemd:/\n0::/x\n7:memory:\n\n"
    assert list(parse_groups(text)) == [Group(("cpu", "cpuacct"), "/a:b"), Group(("name=systemd",), "/"), Group((), "/x")]


def test_mounts_are_parsed_and_other_lines_are_left_out() -> None:
    text = (
        "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n"
        "35 25 0:28 / /sys rw - cgroup2 cgroup2 rw\n"
        "nonsense\n - \n1 2 3 - ext4 x rw\n1 2 0:3 / /x - ext4 x rw\n35 25 0:28 / /sys rw\n"
    )
    first, second = parse_mounts(text)
    assert first == ("/mnt1", "/mnt 2", "ext3", ("rw", "errors=continue"))
    assert second == ("/", "/sys", "cgroup2", ("rw",))
