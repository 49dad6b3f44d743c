"""What becomes of tags in protobuf formats, by their keys: it is right for several threads at once, and takes little memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from protobuf_pages import decoded as pages
from protobuf_pages import labels_of

import tallymark as tm
from everything import family, tags
from remote_write_messages import decoded, values
from tallymark.export import protobuf_labels, remote_write_labels
from tallymark.export.escaping import label_name
from tallymark.export.protobuf import render_protobuf
from tallymark.export.protobuf_labels import LabelLayouts
from tallymark.export.remote_write import remote_write_parts
from tallymark.export.remote_write_labels import RemoteWriteLabels

# Threads: what another one does at the worst moment is done here by what is called at that moment.


def test_what_another_thread_found_out_of_labels_that_repeat_is_not_forgotten() -> None:
    class Keys(dict[Any, Any]):
        def setdefault(self, names: Any, keys: Any) -> Any:
            if keys == ("b",):
                layouts["a", "a.b", "a_b"]
            return super().setdefault(names, keys)

    layouts = LabelLayouts("underscores")
    layouts._keys = Keys()
    assert not layouts["b",].joins
    assert layouts.may_repeat


def test_that_labels_may_repeat_is_known_before_others_find_the_layout() -> None:
    class Keys(dict[Any, Any]):
        def setdefault(self, names: Any, keys: Any) -> Any:
            assert keys not in layouts
            return super().setdefault(names, keys)

    layouts = LabelLayouts("underscores")
    layouts._keys = Keys()
    assert [layouts[keys].names for keys in (("a.b",), ("a_b",))] == [("a_b",)] * 2
    assert layouts.may_repeat


def test_what_another_thread_found_out_of_labels_before_the_name_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    class Name(str):
        def __lt__(self, other: str) -> bool:
            if self == "b":
                LabelLayouts("underscores")["A",]
            return super().__lt__(other)

    monkeypatch.setattr(protobuf_labels, "_precede", False)
    monkeypatch.setattr(protobuf_labels, "label_name", lambda key, scheme: Name(label_name(key, scheme)))
    LabelLayouts("underscores")["b",]
    assert protobuf_labels.may_precede_name()


def test_threads_that_write_the_first_labels_at_once_share_what_is_known_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(LabelLayouts):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if not others:
                others.append(labels)
                others.append(labels.family())

    others: list[Any] = []
    monkeypatch.setattr(remote_write_labels, "LabelLayouts", Interrupted)
    labels = RemoteWriteLabels()
    labels.family().column(tags({"a": ""}))
    assert others[1]._layouts is labels.family()._layouts
    assert labels.may_repeat()


def test_labels_are_asked_for_repetition_while_another_thread_writes_the_first_of_a_kind() -> None:
    class Asked(LabelLayouts):
        @property
        def may_repeat(self) -> bool:
            labels.family("le")
            return False

        @may_repeat.setter
        def may_repeat(self, value: bool) -> None:
            pass

    labels = RemoteWriteLabels()
    labels._layouts[""] = Asked("underscores")
    assert not labels.may_repeat()


# Memory

WRITERS: dict[str, Callable[[tm.Snapshot], Iterable[bytes]]] = {
    "scrape": lambda snapshot: [render_protobuf(snapshot)],
    "remote write": remote_write_parts,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_family_whose_series_have_keys_of_their_own_takes_little_more(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(keys: int) -> int:
        sets = tags(*[{"i": str(i), f"first_{i % keys}": "v", f"second_{i % keys}": "w"} for i in range(1500)])
        snapshot = tm.Snapshot((family("g", "gauge", tm.GaugeData(sets, (0.0,) * 1500, (1.0,) * 1500)),), 10.0)
        list(WRITERS[name](snapshot))
        gc.collect()
        tracemalloc.start()
        try:
            list(WRITERS[name](snapshot))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    monkeypatch.setattr(protobuf_labels, "_MOST", 40)
    monkeypatch.setattr(protobuf_labels, "_MOST_OF_FAMILY", 160)
    assert peak(1500) < peak(200) * 1.5


@pytest.mark.parametrize("most", [3, 4000])
def test_twins_among_more_sets_of_keys_than_are_kept_add_up(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf_labels, "_MOST", 2)
    monkeypatch.setattr(protobuf_labels, "_MOST_OF_FAMILY", most)
    sets = tags(*[{f"k.{i}": "1"} for i in range(20)], *[{f"k_{i}": "1"} for i in range(20)])
    snapshot = tm.Snapshot((family("n", "counter", tm.SumData(sets, (0.0,) * 40, (1.0,) * 40, True)),), 10.0)
    assert values(decoded(remote_write_parts(snapshot))) == {("n_total", frozenset({(f"k_{i}", "1")})): 2.0 for i in range(20)}
    (message,) = pages(render_protobuf(snapshot))
    assert {labels_of(one): one.counter.value for one in message.metric} == {((f"k_{i}", "1"),): 2.0 for i in range(20)}


def test_labels_whose_hashes_are_the_same_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf_labels, "hash", lambda labels: 7, raising=False)
    sets = tags({"a": ""}, {}, {"a": "1"}, {"a": "2"})
    snapshot = tm.Snapshot((family("n", "counter", tm.SumData(sets, (0.0,) * 4, (1.0, 2.0, 4.0, 8.0), True)),), 10.0)
    expected = {(): 3.0, (("a", "1"),): 4.0, (("a", "2"),): 8.0}
    found = values(decoded(remote_write_parts(snapshot)))
    assert found == {("n_total", frozenset(labels)): value for labels, value in expected.items()}
    (message,) = pages(render_protobuf(snapshot))
    assert {labels_of(one): one.counter.value for one in message.metric} == expected
