"""What becomes of tags in protobuf formats, by their keys: it is right for several threads at once."""

from __future__ import annotations

from typing import Any

import pytest

from everything import tags
from tallymark.export import protobuf_labels, remote_write_labels
from tallymark.export.escaping import label_name
from tallymark.export.protobuf_labels import LabelLayouts
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
