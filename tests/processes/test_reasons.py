"""Where shared memory has no space for a series or a metric, the log says why, and what to do about it."""

from __future__ import annotations

import errno
import logging
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout import USED

import tallymark as tm
from tallymark.metric.rejections import REJECTED

pytestmark = pytest.mark.slow

NEXT, LAST = 0, 24  # in the record of an entry; `next` is also in that of a slot (entry.h, slot.h)
GARBAGE = 12_345
FNV_PRIME, FNV_START = 0x100000001B3, 0xCBF29CE484222325  # draft-eastlake-fnv
MOST_LINKS = 4096  # slot.c

Said = Callable[[], str]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """Return what was logged of a lack of space, once it is counted."""
    caplog.set_level(logging.WARNING, "tallymark")

    def said() -> str:
        lines = [line for line in caplog.messages if "shared memory has no space" in line]
        assert len(lines) == 1, caplog.text
        return lines[0].partition("no space: ")[2].partition(". Further cases")[0]

    return said


def opened(path: Path, **options: Any) -> tm.Registry:
    """A registry whose own metric of what was rejected is there already."""
    registry = tm.Registry(engine="native", shared=path, **options)
    registry._rejections.make_counter()
    return registry


def no_space(registry: tm.Registry) -> float:
    """How many records were rejected or redirected. Where there is no space at all, nothing tells which."""
    return sum(one.value for one in registry.snapshot()[REJECTED])


def write(path: Path, at: int, number: int) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(struct.pack("Q", number))


def read(path: Path, at: int) -> int:
    return int(struct.unpack_from("Q", path.read_bytes(), at)[0])


def offset_of(registry: tm.Registry, name: str) -> int:
    return int(registry._families._by_name[name]._offset)  # type: ignore[attr-defined]


def test_the_limit_is_reached(path: Path, said: Said) -> None:
    registry = opened(path, shared_limit=1_200_000, limits=tm.TagLimits(max_series=100_000))
    counter = registry.counter("n")
    for i in range(10_000):
        counter.inc(kind=str(i))
    assert (
        said()
        == "it is full: raise Registry(shared_limit=), which holds from Registry(fresh=True) on, or lower TagLimits.max_series"
    )
    assert no_space(registry) == counter.with_tags(overflow="true").value > 0


def test_the_file_may_not_grow(path: Path, said: Said, children: Any) -> None:
    registry = opened(path, limits=tm.TagLimits(max_series=100_000))
    counter = registry.counter("n")

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size,) * 2)
        for i in range(10_000):
            counter.inc(kind=str(i))
        assert said() == "its file may not grow further (RLIMIT_FSIZE, or the file system): raise that limit"
        assert no_space(registry) > 0

    assert children.run(work) == 0


FAILS_TO_GROW = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
int fallocate64(int fd, int mode, off_t at, off_t n)
{
    int (*real)(int, int, off_t, off_t) = dlsym(RTLD_NEXT, "fallocate64");
    if (at == 0) { /* the file is being made */
        return real(fd, mode, at, n);
    }
    errno = atoi(getenv("FAILS"));
    return -1;
}
int fallocate(int fd, int mode, off_t at, off_t n) { return fallocate64(fd, mode, at, n); }
"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("ENOSPC", "its disk is full: make space on it"),
        ("EDQUOT", "its user's disk quota is used up: raise it"),
        ("EFBIG", "its file may not grow further (RLIMIT_FSIZE, or the file system): raise that limit"),
        ("EIO", "its file system reports an error: look into the system's log"),
    ],
)
def test_the_system_does_not_give_space(path: Path, run_with: Any, error: str, reason: str) -> None:
    program = f"""
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import tallymark as tm
registry = tm.Registry(shared={str(path)!r}, limits=tm.TagLimits(max_series=100_000))
for i in range(10_000):
    registry.counter("n").inc(kind=str(i))
print(sum(one.value for one in registry.snapshot()["n"]))
"""
    said = run_with(FAILS_TO_GROW, program, FAILS=str(getattr(errno, error)))
    assert f"metric 'n': shared memory has no space: {reason}. Further cases are only counted" in said
    assert said.count("no space") == 1
    assert said.endswith("\n10000.0\n")  # they went to the overflow series


def test_the_list_of_metrics_is_damaged(path: Path, said: Said) -> None:
    registry = opened(path)
    registry.counter("n").inc(kind="known")
    write(path, offset_of(registry, "n") + NEXT, GARBAGE)
    registry.counter("later").inc()
    assert said() == "its list of metrics is damaged: end its processes, and start again with fresh=True"
    registry.counter("n").inc(kind="new")
    assert {one.tags["kind"] for one in registry.snapshot()["n"]} == {"known", "new"}
    assert no_space(registry) == 1


def test_a_metrics_list_of_series_is_damaged(path: Path, said: Said) -> None:
    registry = opened(path)
    registry.counter("n").inc(kind="known")
    registry.counter("m")
    last = read(path, offset_of(registry, "n") + LAST)
    write(path, last + NEXT, GARBAGE)
    registry.counter("n").inc(kind="new")
    assert said() == "a metric's list of series is damaged: end its processes, and start again with fresh=True"
    registry.counter("m").inc(kind="new")
    assert registry.snapshot().find("m", kind="new") is not None
    assert no_space(registry) == 1


def test_the_header_is_damaged(path: Path, said: Said) -> None:
    registry = opened(path)
    counter = registry.counter("n")
    write(path, USED, GARBAGE)
    counter.inc(kind="new")
    assert said() == "its header is damaged: end its processes, and start again with fresh=True"
    assert no_space(registry) == 1


def test_tags_are_longer_than_a_megabyte(path: Path, said: Said) -> None:
    registry = opened(path, limits=tm.TagLimits(max_value_length=2_000_000))
    registry.counter("n").inc(kind="x" * 1_100_000)
    assert said() == "the tags of a series are longer than a megabyte: lower TagLimits.max_value_length"
    registry.counter("n").inc(kind="x" * 1_000_000)
    assert {len(one.tags.get("kind", "")) for one in registry.snapshot()["n"]} == {0, 1_000_000}


def test_a_metrics_text_is_longer_than_a_megabyte(path: Path, said: Said) -> None:
    registry = opened(path)
    registry.counter("n", description="x" * 1_100_000).inc()
    assert said() == "a metric has too many buckets, or too long a text: 4,092 and a megabyte are possible"
    assert no_space(registry) == 1


def hash_of(text: bytes, start: int = FNV_START) -> int:
    for byte in text:
        start = (start ^ byte) * FNV_PRIME % 2**64
    return start


def colliding(count: int) -> list[str]:
    """Values of the tag "k" whose texts end in the same nine bits of their hashes, and so are in the same of 512 chains."""
    found: list[str] = []
    undo = pow(FNV_PRIME, -1, 512)
    prefix = hash_of(struct.pack("I", 1) + b"k" + struct.pack("I", 8))
    for i in range(10**6):
        value = f"{i:07}"
        last = chr((hash_of(value.encode(), prefix) ^ undo) % 512)  # the hash then ends in 1
        if last.isascii() and last.isprintable():
            found.append(value + last)
            if len(found) == count:
                break
    return found


def test_tags_were_chosen_to_collide(path: Path, said: Said) -> None:
    registry = opened(path, shared_limit=2**21, limits=tm.TagLimits(max_series=100_000))
    counter = registry.counter("n")
    for value in colliding(MOST_LINKS + 10):
        counter.inc(k=value)
    assert said() == "too many series have tags that were chosen to collide: restrict who sets tags"
    overflow = counter.with_tags(overflow="true").value
    assert overflow == no_space(registry) > 0
    assert len(registry.snapshot()["n"]) == MOST_LINKS + 10 - overflow + 1
    counter.inc(k="harmless")
    assert registry.snapshot().find("n", k="harmless") is not None
