"""What the system may do at the worst moment: a library that is loaded before all others has it do so, each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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


def test_a_file_without_holes_needs_no_space_to_be_opened(path: Path, run_with: Interposed) -> None:
    """So opening a large one costs nothing, and nothing is written to cells that other processes use."""
    tm.Registry(engine="native", shared=path).counter("n").inc(3)
    program = (
        f"import tallymark as tm; r = tm.Registry(shared={str(path)!r}); r.counter('n').inc(); print(r.counter('n').value)"
    )
    assert run_with(NO_FALLOCATE, program) == "4.0\n"
