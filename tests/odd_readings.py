"""Readings of distributions with all that can be odd between two of them, for tests that compare the native engine with Python.

Series come, go, come back and begin anew; counts, sums and extremes are any that memory can hold.
"""

from __future__ import annotations

import mmap
import pickle
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, nan
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import tallymark as tm
from tallymark.frozen import replace

BOUNDS = (-2.0, 0.0, 3.0)
TAGS = "abcd"
MARK = 1009  # observations by which a series is found in the file

COUNTS = st.one_of(st.integers(0, 3), st.sampled_from([2**32, 2**32 + 1, 2**53 + 1, 2**64 - 1]), st.integers(0, 2**64 - 1))
DOUBLES = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.5, -2.0, 3.0, inf, -inf, nan, 1e-5, 5e-324, 1e16, 1.7e308]))
WORDS = st.tuples(st.tuples(*[COUNTS] * (len(BOUNDS) + 1)), DOUBLES, DOUBLES, DOUBLES)
WORDS_OF_SERIES = st.lists(st.lists(WORDS, min_size=2, max_size=2), min_size=1, max_size=4)

VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, -2.0, 3.0, 0.25, 1.0, 1e-300, -1e-310, 5e-324, 1e300, -1.7e308, 1.7e308]),
    st.floats(-1e3, 1e3),
    st.integers(-6, 6).map(float),
)
STEPS = st.lists(st.tuples(st.sampled_from(["observe"] * 8 + ["remove", "anew"]), st.sampled_from(TAGS), VALUES), max_size=15)
READINGS = st.lists(STEPS, min_size=1, max_size=3)


def twin(snapshot: tm.Snapshot) -> tm.Snapshot:
    """Return a snapshot whose columns are tuples: for them, there is only Python code."""
    copied: tm.Snapshot = pickle.loads(pickle.dumps(snapshot))
    return copied


def told(data: Any) -> list[Any]:
    """Return all that columns have, in a form in which NaN is equal to itself, and -0.0 is not 0.0."""
    return [repr(tuple(column) if len(column) else ()) for column in data._values() if not isinstance(column, str | bool)]


def registry() -> tm.Registry:
    """Return a registry whose series are all made at one time: those of one are those of another."""
    made = tm.Registry(engine="native", self_metrics=False)
    made._families.hooks = replace(made._families.hooks, now=lambda: 7.0)
    return made


def readings(steps: list[list[tuple[str, str, float]]]) -> list[tm.Snapshot]:
    """Return a snapshot after each list of steps, of distributions with explicit and with exponential buckets."""
    current, found = registry(), []
    for some in steps:
        for what, tag, value in some:
            if what == "anew":  # in a registry that counts from nothing
                current = registry()
            bounded = current.histogram("bounded", buckets=BOUNDS).with_tags(a=tag)
            spread = current.histogram("spread", exponential=True).with_tags(a=tag)
            for series in (bounded, spread, current.timer("timer").with_tags(a=tag)):
                if what == "remove":
                    series.remove()
                elif isinstance(series, tm.Timer):
                    series.record(abs(value))
                else:
                    series.observe(value)
        found.append(current.snapshot())
    return found


@contextmanager
def readings_of_words(series: list[list[Any]]) -> Iterator[list[tm.Snapshot]]:
    """Give two snapshots, in which each series has these counts, sums and extremes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shared"
        shared = tm.Registry(engine="native", shared=path, self_metrics=False)
        places = []
        with path.open("r+b") as file:
            for i, _ in enumerate(series):
                histogram = shared.histogram("bounded", buckets=BOUNDS)
                for _ in range(MARK + i):
                    histogram.observe(0.5, a=TAGS[i])
            memory = mmap.mmap(file.fileno(), 0)
            for i, _ in enumerate(series):
                mark = struct.pack("<QQQQd", 0, 0, MARK + i, 0, 0.5 * (MARK + i))
                places.append(memory.find(mark))
            assert min(places) > 0
            found = []
            for reading in range(2):
                for place, words in zip(places, series, strict=True):
                    counts, *summed = words[reading]
                    memory[place : place + 56] = struct.pack("<4Q3d", *counts, *summed)
                found.append(shared.snapshot())
            yield found
            memory.close()
