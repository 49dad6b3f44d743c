"""A benchmark that cannot run everywhere says why, and the others run."""

import os


def bench_fork(b):
    if not hasattr(os, "fork"):
        b.skip("this system cannot fork")
    for _ in b.loop():
        child = os.fork()
        if child == 0:
            os._exit(0)  # the child must not come back into the loop
        os.waitpid(child, 0)
