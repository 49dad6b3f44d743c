"""Builds what is in C, where it can be built; without a compiler the install succeeds, on the reference engine.

A free-threaded build of CPython gets the native engine, for those who start it with its GIL, but counts no allocations.

`TALLYMARK_CFLAGS` and `TALLYMARK_LDFLAGS` are added to the compiler's and the linker's flags (sanitizers, warnings as errors).
"""

import os
import sys
from glob import glob

from setuptools import Extension, setup

FLAGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-Wall", "-Wextra"]


def extension(name: str, sources: str) -> Extension:
    return Extension(
        name,
        sources=sorted(glob(sources)),
        depends=sorted(glob(os.path.join(os.path.dirname(sources), "*.h"))),
        extra_compile_args=[*FLAGS, *os.environ.get("TALLYMARK_CFLAGS", "").split()],
        extra_link_args=os.environ.get("TALLYMARK_LDFLAGS", "").split(),
        optional=True,
    )


extensions = [
    extension("tallymark.engine.native._engine", "src/tallymark/engine/native/*.c"),
    extension("tallymark.integrations._exchanges", "src/tallymark/integrations/native/*.c"),
    extension("tallymark.bench._perf", "src/tallymark/bench/native/perf/*.c"),
]
if "t" not in getattr(sys, "abiflags", ""):
    extensions.append(extension("tallymark.bench._allocs", "src/tallymark/bench/native/allocs/*.c"))

setup(ext_modules=extensions)
