"""Exemplars in shared memory: all processes see them, whoever is killed leaves none or a whole one, and nothing is trusted."""

from __future__ import annotations

import signal
import struct
from bisect import bisect_left
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.cli import main
from tallymark.frozen import replace
from tallymark.metric.shared.entry import SharedEntry

pytestmark = pytest.mark.slow

BLOCK = b"EXEM"  # how a block of exemplars begins (exemplar_block.c)
BLOCK_HEADER, PLACE_HEADER, SHORT, LONGEST = 24, 32, 96, 512
BOUNDS = (1, 2, 3)


def kept(registry: tm.Registry, name: str = "n", **tags: str) -> list[tuple[dict[str, str], float]]:
    found = registry.snapshot().find(name, tags)
    return [] if found is None else [(dict(one.labels), one.value) for one in found.exemplars]


def rejected(registry: tm.Registry, reason: str, name: str = "n") -> float:
    found = registry.snapshot().find("tallymark_rejected", metric=name, reason=reason)
    return 0 if found is None else found.value


def rejections(registry: tm.Registry) -> float:
    """Return how many there were; where memory is full, a new reason has no series of its own."""
    return sum([one.value for one in registry.snapshot()["tallymark_rejected"]])


def another(path: Path, **options: Any) -> tm.Registry:
    return tm.Registry(engine="native", shared=path, **options)


def with_clock(registry: tm.Registry, clock: list[float]) -> tm.Registry:
    registry._families.hooks = replace(registry._families.hooks, now=lambda: clock[0])
    return registry


# All see them


def test_each_process_sees_those_of_all(shared: tm.Registry, children: Any) -> None:
    histogram = shared.histogram("n", buckets=BOUNDS)
    histogram.observe(0.5, exemplar={"who": "parent"})

    def work() -> None:
        histogram.observe(2.5, exemplar={"who": "child", "more": "é"})
        shared.counter("c").inc(2, exemplar={"who": "child"}, a="1")
        assert kept(shared) == [({"who": "parent"}, 0.5), ({"who": "child", "more": "é"}, 2.5)]

    assert children.run(work) == 0
    assert kept(shared) == [({"who": "parent"}, 0.5), ({"who": "child", "more": "é"}, 2.5)]
    assert kept(shared, "c", a="1") == [({"who": "child"}, 2.0)]
    histogram.observe(3, exemplar={"who": "parent again"})
    assert kept(shared) == [({"who": "parent"}, 0.5), ({"who": "parent again"}, 3.0)]


def test_a_file_keeps_them_for_who_comes_later(path: Path) -> None:
    clock = [1234.5]
    with_clock(another(path), clock).timer("n", buckets=BOUNDS).record(1, exemplar={"a": "1"})
    (found,) = another(path).snapshot()["n"]
    assert found.exemplars == (tm.Exemplar((("a", "1"),), 1.0, 1234.5),)


def test_the_overflow_series_has_its_own(path: Path) -> None:
    registry = another(path, limits=tm.TagLimits(max_series=1))
    counter = registry.counter("n")
    for i in range(3):
        counter.inc(a=i, exemplar={"i": i})
    assert kept(registry, a="0") == [({"i": "0"}, 1.0)]
    assert kept(registry, overflow="true") == [({"i": "2"}, 1.0)]


def test_processes_together_replace_one_once_a_second(path: Path, children: Any) -> None:
    clock = [1000.0]

    def asking(who: str) -> tm.Registry:
        return with_clock(another(path, exemplars=lambda: {"who": who, "at": clock[0]}), clock)

    first, second = asking("first"), asking("second")
    for registry in (first, second, first):
        for _ in range(3):
            registry.counter("n").inc()
        clock[0] += 0.375
    assert kept(second) == [({"who": "first", "at": "1000.0"}, 1.0)]
    second.counter("n").inc()
    assert kept(first) == [({"who": "second", "at": "1001.125"}, 1.0)]
    clock[0] += 1

    def work() -> None:
        first.counter("n").inc()

    assert children.run(work) == 0
    assert kept(second) == [({"who": "first", "at": "1002.125"}, 1.0)]
    assert first.snapshot().find("n").value == 11  # type: ignore[union-attr]


def test_asked_in_any_way_records_go_to_the_same_cells(path: Path) -> None:
    registry = another(path, exemplars=lambda: {"a": "1"})
    counter, timer = registry.counter("n"), registry.timer("t")
    for i in range(20):
        counter.inc()
        counter.inc(a=i % 2)
        with timer.time(a="1"):
            pass
        if i == 10:
            counter.with_tags(a=0).remove()
    assert counter.value == 20
    assert [one.value for one in registry.snapshot()["n"] if one.tags.get("a") == "1"] == [10]
    assert [one.value for one in registry.snapshot()["n"] if one.tags.get("a") == "0"] == [4]
    assert timer.with_tags(a="1").snapshot().count == 20


# Space


def block_of(path: Path) -> int:
    """Return the offset of the last block."""
    return path.read_bytes().rindex(BLOCK)


def used(registry: tm.Registry) -> int:
    size: int = registry._families.memory.shared.usage()["used"]  # type: ignore[attr-defined]
    return size


def test_what_they_take_is_what_the_page_says(path: Path) -> None:
    registry = another(path)
    histogram, counter = registry.histogram("n", buckets=BOUNDS), registry.counter("c")
    histogram.observe(1)
    counter.inc()
    before = used(registry)
    counter.inc(exemplar={"trace_id": "a" * 32, "span_id": "b" * 16})
    assert used(registry) - before == BLOCK_HEADER + PLACE_HEADER + SHORT == 152
    before = used(registry)
    for value in (1, 2, 3, 4, 1, 2):
        histogram.observe(value, exemplar={"trace_id": "a" * 32, "span_id": "b" * 16})
    assert used(registry) - before == BLOCK_HEADER + 4 * (PLACE_HEADER + SHORT)
    before = used(registry)
    for _ in range(2):
        histogram.observe(1, exemplar={"a": "\U0001f600" * 127})
        histogram.observe(2, exemplar={"a": "\U0001f600" * 127})
    assert used(registry) - before == BLOCK_HEADER + 4 * (PLACE_HEADER + LONGEST)
    trace = {"trace_id": "a" * 32, "span_id": "b" * 16}
    long = {"a": "\U0001f600" * 127}
    assert kept(registry) == [(long, 1.0), (long, 2.0), (trace, 3.0), (trace, 4.0)]  # those that were there moved


def test_a_slot_that_is_used_again_has_its_block_again_and_no_old_exemplar(path: Path, children: Any) -> None:
    registry = another(path)
    counter = registry.counter("n")
    counter.inc(a="1", exemplar={"who": "first"})
    before = used(registry)
    for i in range(2, 50):

        def work(i: int = i) -> None:
            counter.inc(a=i)

        counter.with_tags(a=i - 1).remove()
        if i == 2:
            assert children.run(work) == 0
        work()
        assert kept(registry, a=str(i)) == []
        counter.inc(a=i, exemplar={"who": f"{i}"})
        assert kept(registry, a=str(i)) == [({"who": f"{i}"}, 1.0)]
    assert used(registry) == before
    counter.with_tags(a=49).remove()
    counter.inc(a=49)
    assert kept(registry, a="49") == []


def test_one_that_finds_no_space_is_counted_and_its_record_counts(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = another(path, shared_limit=1_200_000, limits=tm.TagLimits(max_series=100_000))
    counter, histogram = registry.counter("n"), registry.histogram("h", buckets=BOUNDS)
    counter.inc(exemplar={"who": "first"})
    histogram.observe(1)
    for i in range(100_000):
        counter.inc(i=i)
        if registry._families.memory.shared.usage()["failed"]:  # type: ignore[attr-defined]
            break
    before = rejections(registry)
    for _ in range(2):
        histogram.observe(1, exemplar={"who": "late"})
    assert histogram.snapshot().count == 3
    assert kept(registry, "h") == []
    assert rejections(registry) - before == 2
    assert "'h': shared memory has no space for exemplars: it is full: raise Registry(shared_limit=)" in caplog.text
    counter.inc(exemplar={"who": "second"})  # who has space, has it
    assert kept(registry) == [({"who": "second"}, 1.0)]


def test_a_file_that_has_no_space_for_any_is_used_without(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As one that was made before exemplars were kept."""
    probe: Any = tm.Registry(engine="native").counter("n")
    text = SharedEntry.of(probe._family.options, "").write()
    registry = another(path)
    assert registry._families.memory.shared.add_family(text, 1, 0)  # type: ignore[attr-defined]
    counter = registry.counter("n")
    counter.inc(exemplar={"a": "1"})
    assert counter.value == 1
    assert kept(registry) == []
    assert rejected(registry, "exemplar_no_space") == 1
    assert "its file was made without space for exemplars" in caplog.text


# Who is killed, or stopped


OLD, NEW, AGAIN = ({"who": who * 9, "what": who * 9} for who in ("old", "new", "again"))
LONG = {"who": "x" * 120}


def first_of_a_counter(registry: tm.Registry) -> None:
    registry.counter("n").inc(exemplar=NEW)


def next_of_a_histogram(registry: tm.Registry) -> None:
    registry.histogram("n", buckets=BOUNDS).observe(1.5, exemplar=NEW)


def a_longer_one(registry: tm.Registry) -> None:
    registry.histogram("n", buckets=BOUNDS).observe(1, exemplar=LONG)


def an_end_and_another(registry: tm.Registry) -> None:
    histogram = registry.histogram("n", buckets=BOUNDS)
    histogram.remove()
    histogram.observe(2)


@pytest.mark.parametrize(
    ("before", "work", "may_be", "least"),
    [
        ([], first_of_a_counter, [[], [(NEW, 1.0)]], 9),
        ([2], next_of_a_histogram, [[(OLD, 2.0)], [], [(NEW, 1.5)]], 5),
        ([2], a_longer_one, [[(OLD, 2.0)], [(LONG, 1.0), (OLD, 2.0)]], 12),
        ([1, 2], an_end_and_another, [[(OLD, 1.0), (OLD, 2.0)], [(OLD, 2.0)], [(OLD, 1.0)], []], 25),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_who_is_killed_between_any_two_changes_leaves_none_or_a_whole_one(
    tmp_path: Path,
    children: Any,
    before: list[float],
    work: Callable[[tm.Registry], None],
    may_be: list[list[tuple[dict[str, str], float]]],
    least: int,
) -> None:
    seen = []
    for step in range(1, 200):
        path = tmp_path / str(step)
        registry = another(path)
        for value in before:
            registry.histogram("n", buckets=BOUNDS).observe(value, exemplar=OLD)
        (registry.histogram("n", buckets=BOUNDS) if before else registry.counter("n")).with_tags(other="1")

        def killed(step: int = step, path: Path = path) -> None:
            own = another(path)
            own.snapshot()
            own._families.memory.shared._fault(step)  # type: ignore[attr-defined]
            work(own)

        status = children.run(killed)
        assert status in (0, -signal.SIGKILL)
        found = kept(registry)
        assert found in may_be
        if found not in seen:
            seen.append(found)
        if before:  # whoever comes next goes on
            histogram = registry.histogram("n", buckets=BOUNDS)
            for value in (1, 2):
                histogram.observe(value, exemplar=AGAIN)
            assert kept(registry) == kept(another(path)) == [(AGAIN, 1.0), (AGAIN, 2.0)]
        else:
            registry.counter("n").inc(exemplar=AGAIN)
            assert kept(registry) == kept(another(path)) == [(AGAIN, 1.0)]
        if status == 0:
            break
    assert step > least  # there are that many, or the test tests nothing
    assert found == may_be[-1]
    assert len(seen) >= 2


def test_while_who_has_the_lock_is_stopped_records_go_on_without(path: Path, stopped_lock: Any) -> None:
    registry = another(path, exemplars=lambda: {"a": "1"})
    counter = registry.counter("n")
    counter.inc(exemplar={"a": "before"})
    with stopped_lock(registry):
        for _ in range(3):
            counter.inc(exemplar={"a": "meanwhile"})
        counter.inc()
    assert counter.value == 5
    assert kept(registry) == [({"a": "before"}, 1.0)]
    counter.inc(exemplar={"a": "after"})
    assert kept(registry) == [({"a": "after"}, 1.0)]


def test_nobody_reads_a_mixture_while_several_write(path: Path, children: Any) -> None:
    registry = another(path)

    def write(letter: str) -> None:
        histogram = another(path).histogram("n", buckets=BOUNDS)
        n = 0
        while True:
            n = n % 40 + 20
            histogram.observe(1 + n / 1000, exemplar={"x": letter * n, "y": letter * n})

    histogram = registry.histogram("n", buckets=BOUNDS)
    histogram.observe(1)
    pids = [children.start(lambda letter=letter: write(letter)) for letter in "ab"]
    family: Any = histogram._family  # type: ignore[attr-defined]
    seen: set[str] = set()
    reads = 0
    while reads < 10_000 or len(seen) < 2:
        reads += 1
        for one in [each for row in family.read().exemplars for each in row]:
            labels, n = dict(one.labels), round((one.value - 1) * 1000)
            assert labels["x"] == labels["y"] == labels["x"][0] * n
            seen.add(labels["x"][0])
    for pid in pids:
        children.kill(pid)


# What a file may hold


def damaged(good: bytes) -> list[tuple[str, bytes]]:
    """Return the file with one word or byte of its block, or the word that leads there, changed."""
    block = good.rindex(BLOCK)
    word = good.index(struct.pack("Q", block))
    numbers = (0, 1, 7, 8, block + 8, block - 8, len(good) - 8, 2**20, 2**31, 2**32, 2**63, 2**64 - 1)
    found = []
    for at in (word, *range(block, block + BLOCK_HEADER + 2 * (PLACE_HEADER + SHORT), 8)):
        for number in numbers:
            found.append((f"{at - block}: {number}", good[:at] + struct.pack("Q", number) + good[at + 8 :]))
    for at in range(block, block + BLOCK_HEADER + 2 * (PLACE_HEADER + SHORT)):
        for byte in (0, 0x22, 0x80, 0xFF):
            found.append((f"{at - block}: {byte:x}", good[:at] + bytes([byte]) + good[at + 1 :]))
    return found


def test_nothing_in_the_file_is_believed_unchecked(tmp_path: Path) -> None:
    """Each exemplar that is read is a valid one of its bucket, and what is recorded next is kept, whatever was changed."""
    path = tmp_path / "good"
    registry = another(path)
    for value in (0.5, 1.5):
        registry.histogram("n", buckets=BOUNDS).observe(value, exemplar={"trace_id": "4bf9", "name": 'é"\\'})
    good = path.read_bytes()
    bad = tmp_path / "bad"
    for what, changed in damaged(good):
        bad.write_bytes(changed)
        found = another(bad)
        (series,) = found.snapshot()["n"]
        for one in series.exemplars:
            assert one.labels, what
            assert sum([len(text) for label in one.labels for text in label]) <= 128, what
            assert all(text.encode() for text, _ in one.labels), what
            assert isfinite(one.time), what
        buckets = [bisect_left(BOUNDS, one.value) for one in series.exemplars]
        assert buckets == sorted(set(buckets)), what
        found.histogram("n", buckets=BOUNDS).observe(2.5, exemplar={"after": "1"})
        assert kept(found)[-1] == ({"after": "1"}, 2.5), what
        bad.unlink()


def test_two_series_never_have_one_block(tmp_path: Path) -> None:
    path = tmp_path / "good"
    registry = another(path)
    for series in "ab":
        registry.counter("n").inc(exemplar={"who": series}, series=series)
    good = path.read_bytes()
    blocks = [at for at in range(0, len(good), 8) if good[at : at + 4] == BLOCK]
    words = [good.index(struct.pack("Q", block)) for block in blocks]
    bad = tmp_path / "bad"
    bad.write_bytes(good[: words[1]] + struct.pack("Q", blocks[0]) + good[words[1] + 8 :])
    found = another(bad)
    assert kept(found, series="a") == [({"who": "a"}, 1.0)]
    assert kept(found, series="b") == []
    found.counter("n").inc(exemplar={"who": "b again"}, series="b")
    assert kept(found, series="a") == [({"who": "a"}, 1.0)]
    assert kept(found, series="b") == [({"who": "b again"}, 1.0)]


@pytest.mark.parametrize("space", [0, 8, 88, 97, 104, 520, 1024, 4096, 60_000])
def test_a_place_of_another_size_is_not_read(tmp_path: Path, space: int) -> None:
    """Else a text that is as long as the space could be longer than any that is read."""
    path = tmp_path / "good"
    another(path).counter("n").inc(exemplar={"trace_id": "4bf9"})
    good = bytearray(path.read_bytes())
    block = good.rindex(BLOCK)
    struct.pack_into("I", good, block + 8, space)
    struct.pack_into("I", good, block + BLOCK_HEADER + 24, space)
    (tmp_path / "bad").write_bytes(good)
    found = another(tmp_path / "bad")
    assert kept(found) == []
    found.counter("n").inc(exemplar={"after": "1"})
    assert kept(found) == [({"after": "1"}, 1.0)]


TEXTS: dict[str, bytes] = {
    "no text": b"",
    "no end": b"a\xffb",
    "no value": b"a\xff",
    "three texts": b"a\xffb\xffc\xff",
    "bytes that are no UTF-8": b"a\xff\x80\xff",
    "a surrogate": b"a\xff\xed\xb2\x80\xff",
    "a long way to write a letter": b"a\xff\xc1\x81\xff",
    "a name twice": b"a\xffb\xffa\xffc\xff",
    "a name that is none": b"a b\xffc\xff",
    "no name": b"\xffc\xff",
    "too long": b"a" * 90 + b"\xff" + b"\xff",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_nobody_wrote_is_dropped(path: Path, name: str) -> None:
    another(path).counter("n").inc(exemplar={"trace_id": "4bf9"})
    good = path.read_bytes()
    place = good.rindex(BLOCK) + BLOCK_HEADER
    text = TEXTS[name]
    if name == "too long":
        text = b"a\xff" + "\u00e9".encode() * 46 + b"\xff"
        assert len(text) <= SHORT
    changed = good[: place + 24] + struct.pack("I", len(text)) + good[place + 28 : place + 32] + text.ljust(SHORT, b"\0")
    path.write_bytes(changed + good[len(changed) :])
    expected = [({"a": "é" * 46}, 1.0)] if name == "too long" else []
    assert kept(another(path)) == expected


def test_a_file_with_exemplars_is_inspected_as_any(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = another(path)
    registry.counter("n").inc(exemplar={"trace_id": "4bf9"}, a="1")
    registry.histogram("h", buckets=BOUNDS).observe(1, exemplar={"trace_id": "4bf9"})
    for arguments in ([], ["--json"], ["--prometheus"]):
        assert main(["inspect", str(path), *arguments]) == 0
        assert "4bf9" not in capsys.readouterr().out
