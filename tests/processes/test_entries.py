"""A metric is found by its name, and in the list of all, once: whoever made it, and died over it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

import tallymark as tm
from tallymark.metric.rejections import REJECTED

pytestmark = pytest.mark.slow


def shared_of(registry: tm.Registry) -> Any:
    return registry._families.memory.shared  # type: ignore[union-attr]


def names_in(registry: tm.Registry) -> list[bytes]:
    """The names of all metrics in the file that users made, in their order there."""
    shared = shared_of(registry)
    texts = [shared.text(offset) for offset, registered, _ in shared.families() if registered]
    names = [text.partition(b"\n")[0] for text in texts]
    return [name for name in names if name != REJECTED.encode()]


@pytest.mark.parametrize("before", [0, 3])
def test_a_metric_whose_maker_was_killed_at_any_step_is_there_once(before: int, tmp_path: Path, children: Any) -> None:
    """With other metrics before it or none, and made again by another process, by the one that read it, or by both."""
    for step in range(1, 100):
        path = tmp_path / str(step)
        registry = tm.Registry(engine="native", shared=path)
        for i in range(before):
            registry.counter(f"before{i}").inc(i + 1)

        def work(step: int = step, registry: tm.Registry = registry) -> None:
            shared_of(registry)._fault(step)
            registry.counter("n").inc(100, who="dead")

        status = children.run(work)
        assert status in (0, -signal.SIGKILL)
        if step % 2:
            registry.snapshot()  # finds what is in the list, by its offset
        registry.counter("n").inc(2, who="first")
        late = tm.Registry(engine="native", shared=path)
        late.counter("n").inc(3, who="second")
        late.gauge("other").set(1)
        with pytest.raises(tm.MetricConflictError):
            tm.Registry(engine="native", shared=path).gauge("n")
        for one in (registry, late, tm.Registry(engine="native", shared=path)):
            names = names_in(one)
            assert names.count(b"n") == 1, (step, names)
            assert sorted(names) == sorted([b"n", b"other", *(f"before{i}".encode() for i in range(before))])
            found = {point.tags["who"]: point.value for point in one.snapshot()["n"] if point.tags}
            assert found.pop("dead", 0) in (0, 100)
            assert found == {"first": 2, "second": 3}
            assert [one.snapshot().find(f"before{i}").value for i in range(before)] == [i + 1 for i in range(before)]  # type: ignore[union-attr]
        path.unlink()
        if status == 0:
            assert step > 15  # there are that many, or the test tests nothing
            return
    pytest.fail("it never comes to an end")


def test_a_name_of_many_is_found_in_its_chain(path: Path) -> None:
    """More names than there are chains, each made by one process and found by another, at the same place."""
    registry = tm.Registry(engine="native", shared=path)
    texts = [f"name{i}\n[]".encode() for i in range(1500)]
    offsets = [shared_of(registry).add_family(text, 1, 0) for text in texts]
    there = shared_of(tm.Registry(engine="native", shared=path))
    assert offsets == sorted(set(offsets))  # in the order in which they were made
    assert [offset for offset, *_ in there.families() if there.text(offset) in texts] == offsets
    assert [there.add_family(text, 1, 0) for text in texts] == offsets
    assert [there.add_family(text + b"else", 1, 0) for text in texts] == offsets  # who was first decides
