"""What the system may do at the worst moment: a library that is loaded before all others has it do so, each time."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import tallymark as tm

GROWS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
static int done;
ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    if (!done && at == 0 && n >= 64) { /* who reads the header finds that another process has just let the file grow */
        done = 1;
        int other = open(getenv("GROWS"), O_RDWR);
        uint64_t size = (uint64_t)lseek(other, 0, SEEK_END) + (1 << 20);
        if (ftruncate(other, (off_t)size) == 0 && pwrite(other, &size, sizeof size, 64) == sizeof size) {
            close(other);
        }
    }
    return real(fd, to, n, at);
}
ssize_t pread64(int fd, void *to, size_t n, off_t at) { return pread(fd, to, n, at); }
"""

NO_FALLOCATE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
int fallocate(int fd, int mode, off_t at, off_t n) { errno = EOPNOTSUPP; return -1; }
int fallocate64(int fd, int mode, off_t at, off_t n) { errno = EOPNOTSUPP; return -1; }
"""

FULL = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
int fallocate(int fd, int mode, off_t at, off_t n) { errno = atoi(getenv("FAILS_WITH")); return -1; }
int fallocate64(int fd, int mode, off_t at, off_t n) { errno = atoi(getenv("FAILS_WITH")); return -1; }
"""

Interposed = Callable[..., str]


def test_a_file_that_grows_while_it_is_opened_is_shared(path: Path, run_with: Interposed) -> None:
    registry = tm.Registry(engine="native", shared=path)
    registry.counter("n").inc(3)
    program = (
        f"import tallymark as tm; r = tm.Registry(shared={str(path)!r}); r.counter('n').inc(); print(r.counter('n').value)"
    )
    assert run_with(GROWS, program, GROWS=str(path)) == "4.0\n"


def test_a_file_system_that_cannot_set_space_aside_is_rejected_with_the_reason(path: Path, run_with: Interposed) -> None:
    program = f"""
import tallymark as tm
try:
    tm.Registry(shared={str(path)!r})
except tm.SharedFileError as error:
    print(error)
"""
    said = run_with(NO_FALLOCATE, program)
    assert "its file system cannot set space aside" in said
    assert "choose a directory on another one" in said
    assert not path.exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errno.ENOSPC, "its file system is full; free some space there, or choose"),
        (errno.EDQUOT, "the disk quota of this user is used up; free some space, raise the quota, or choose"),
        (errno.EFBIG, "it would be larger than a file of this process may be; raise the limit (ulimit -f"),
        (errno.EIO, "its device failed (input/output error); look into the system's log, and choose"),
        (errno.ENOMEM, "no room for addresses, to map it; raise this process' limit (ulimit -v), or"),
    ],
    ids=["disk", "quota", "size", "device", "memory"],
)
@pytest.mark.parametrize("anew", [False, True])
def test_a_file_that_finds_no_space_is_rejected_with_the_reason(
    error: int, said: str, anew: bool, path: Path, run_with: Interposed
) -> None:
    if anew:
        tm.Registry(engine="native", shared=path).counter("n").inc(3)
    before = path.read_bytes() if anew else b""
    program = f"""
import tallymark as tm
try:
    tm.Registry(shared={str(path)!r}, fresh={anew})
except tm.SharedFileError as error:
    print(error)
"""
    assert said in run_with(FULL, program, FAILS_WITH=str(error))
    assert os.listdir(path.parent).count(path.name) == anew
    assert not anew or path.read_bytes() == before
    assert not list(path.parent.glob(f"{path.name}.*"))


def test_a_file_that_cannot_grow_is_told_from_one_that_reached_its_limit(path: Path, run_with: Interposed) -> None:
    tm.Registry(engine="native", shared=path)
    program = f"""
import logging, sys, tallymark as tm
logging.basicConfig(stream=sys.stdout)
registry = tm.Registry(shared={str(path)!r}, limits=tm.TagLimits(max_series=100_000))
for i in range(10_000): registry.counter("n").inc(user=str(i))
"""
    said = run_with(FULL, program, FAILS_WITH=str(errno.ENOSPC))
    assert "shared memory has no space: its disk is full" in said
    assert "shared_limit" not in said


def test_a_file_without_holes_needs_no_space_to_be_opened(path: Path, run_with: Interposed) -> None:
    """So opening a large one costs nothing, and nothing is written to cells that other processes use."""
    tm.Registry(engine="native", shared=path).counter("n").inc(3)
    program = (
        f"import tallymark as tm; r = tm.Registry(shared={str(path)!r}); r.counter('n').inc(); print(r.counter('n').value)"
    )
    assert run_with(NO_FALLOCATE, program) == "4.0\n"
