"""Allocations that follow from CPython's source, and those that the toolkit counts in fresh processes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tallymark.bench import QUICK, Target, measure

SETUP = "s, t, one, two = 'abc', 'xyz', 1.5, 2.25; k, m = 1_000, 1_000_000; d, e = {'a': 1, 'b': 2, 'c': 3}, {'d': 4}"

Counts = tuple[float | None, float | None, float | None]

#: Of each op, on 3.13 and on earlier versions: (allocs, bytes, objects). Dicts of up to five keys, tuples and floats come from
#: free lists; a key table is 24 bytes of head and 16 or 24 an entry; an f-string is a head of 40 bytes (48 before 3.12) and its
#: text. A call of `bytes` makes a tuple of its arguments.
KNOWN: dict[str, tuple[Counts, Counts]] = {
    "{}": ((0, 0, 1), (0, 0, None)),
    "{'a': 1, 'b': 2}": ((0, 0, 1), (0, 0, None)),
    "dict(d)": ((2, 184, 1), (2, 184, None)),
    "d.copy()": ((1, 120, 1), (1, 120, None)),
    "(s, t)": ((0, 0, 1), (0, 0, None)),
    "f'{s}:{t}'": ((1, 48, 1), (1, 56 if sys.version_info < (3, 12) else 48, None)),
    "one + two": ((0, 0, 1), (0, 0, None)),
    "k + m": ((1, 32, 1), (1, 32, None)),
    "[s, t]": ((1, 16, 1), (1, 16, None)),
    "bytes(100)": ((1, 133, 2), (1, 133, None)),
}


@dataclass(frozen=True)
class Counted:
    """An op, with what was counted and what is known: allocs, bytes, objects."""

    op: str
    counted: Counts
    known: Counts


def counted() -> Iterator[Counted]:
    """Yield each op, with its counts."""
    with tempfile.TemporaryDirectory() as directory:
        source = [
            f"def bench_{index}(b):\n    {SETUP}\n    for _ in b.loop():\n        {op}\n" for index, op in enumerate(KNOWN)
        ]
        (Path(directory) / "bench_known.py").write_text("\n".join(source), encoding="utf-8")
        settings = replace(QUICK, passes=("allocations", "objects"))
        (run,) = measure(targets=[Target(root=directory)], settings=settings)
    for (op, known), one in zip(KNOWN.items(), run.benchmarks, strict=True):
        assert one.status == "ok", one.reason
        own = one.allocations
        objects = None if one.objects is None else sum(one.objects.values())
        counts = (None, None, objects) if own is None else (own.allocs, own.bytes, objects)
        yield Counted(op, counts, known[0 if sys.version_info >= (3, 13) else 1])
