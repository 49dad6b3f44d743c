"""Names of variants: short, the same in each process, and no two alike."""

import enum
import functools
import json
import marshal
import os
import pickle
import subprocess
import sys

import pytest

from tallymark.bench.benchmark import parametrize, variants
from tallymark.bench.names import LONGEST, labels, variant_names


class Thing:
    def run(self): ...


class Told:
    def __str__(self):
        return "told"


class Raises:
    def __str__(self):
        raise ValueError

    __repr__ = __str__


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2], ["1", "2"]),
        (["a", "b"], ["a", "b"]),
        ([json.dumps, json.loads], ["dumps", "loads"]),
        ([json.dumps, marshal.dumps], ["json.dumps", "marshal.dumps"]),
        ([pickle.Pickler, dict], ["Pickler", "dict"]),
        ([json, pickle], ["json", "pickle"]),
        ([Thing().run], ["run"]),
        ([lambda: 1, lambda: 2, lambda: 3], ["<lambda>", "<lambda>#2", "<lambda>#3"]),
        ([lambda: 1, lambda: 2, "<lambda>#2"], ["<lambda>", "<lambda>#3", "<lambda>#2"]),
        ([Thing(), Thing()], ["Thing", "Thing#2"]),
        ([Told(), Colour.RED], ["told", "Colour.RED"]),
        ([Raises()], ["Raises"]),
        ([1, "1", 1.0, True], ["1", "'1'", "1.0", "True"]),
        (["x", "x#2", Told(), "told"], ["x", "x#2", "told", "'told'"]),
        ([[json.dumps], (len, {"k": dict})], ["[dumps]", "(len, {'k': dict})"]),
        ([{"b", "a"}, frozenset(), set()], ["{'a', 'b'}", "set()", "set()#2"]),
        (["two\nlines\x1b[0m", "\ud800"], ["two\\nlines\\x1b[0m", "\\ud800"]),
        ([functools.partial(len, Thing())], ["functools.partial(<…ames.Thing object>)"]),
        ([None, b"x", ""], ["None", "b'x'", ""]),
    ],
)
def test_names_are_for_people(values, said):
    assert labels(values) == said


def test_long_values_are_cut_and_told_apart():
    names = labels(["a" * 100 + "x", "a" * 100 + "y", "b" * 50 + "1" + "c" * 50, "b" * 50 + "2" + "c" * 50])
    assert all(len(name) <= LONGEST + 2 for name in names)
    assert len(set(names)) == 4


def test_a_name_never_stands_for_two_variants():
    values = {"a": ["1", 1, "x,b=2", [1], [1]], "b": [2, "2", "2,b=2", "2"]}

    @parametrize(**values)
    def bench_x(b, a, b_): ...

    names = [name for name, _ in variant_names("bench_x", variants(bench_x))]
    assert len(set(names)) == len(names) == 20


SOURCE = """
import functools, json, sys
from tallymark.bench import parametrize
from tallymark.bench.benchmark import variants
from tallymark.bench.names import variant_names

class Thing: pass

@parametrize(f=[json.dumps, lambda: 1, lambda: 2, Thing(), functools.partial(len, Thing()), {"a", "b", "c"}, [Thing()]],
             key={"a", "b", "c", "d"})
def bench(b, f, key): ...

print(variant_names("bench", variants(bench)))
print([one["key"] for one in variants(bench)])
"""


@pytest.mark.slow
def test_names_and_their_order_are_the_same_in_each_process():
    said = {
        subprocess.run(
            [sys.executable, "-c", SOURCE],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(said) == 1
    assert "0x" not in said.pop()
