"""What the engine writes of tags is what the format's own code writes of them, whatever they are."""

from __future__ import annotations

import sys
from itertools import product
from math import inf, nan
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tallymark as tm
from everything import family
from tallymark.engine import load_engine, tag_texts
from tallymark.export import graphite, influx, json_lines, series_texts, statsd, statsd_dialects
from tallymark.export.statsd_dialects import DIALECTS, DOGSTATSD, TagTexts
from tallymark.export.tag_frames import Changed, Frames, characters

KEYS = [
    "a", "b", "name", "_name", "exported_name", "time", "_time", "count", "counter", "gauge", "le", "a.b", "a_b", "a:b", "a/b",
    "é", "Q0Q", "aQ1Q", "Q", "http.method",
]  # fmt: skip
VALUES = st.one_of(
    st.text("abQ01_", min_size=1, max_size=4),
    st.text('ab ~;=,|#:."}{\\/\n\0\x7f!^[]é', max_size=5),
    st.text(max_size=4),
    st.sampled_from(["", "~a", "a~b", "~", "a\\b", '"}', 'a"}', "a\\", "Q0Q", "Q1Q", "x" * 16000, "a b", "\\,"]),
)
TAGS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
COLUMNS = st.lists(TAGS, max_size=6, unique_by=lambda tags: tuple(sorted(tags.items())))
NUMBERS = (1.0, 2.0, 0.1, 1e16, nan, -2.5, 0.0, 1e-5, inf, 123456.75)
STATSD = {**DIALECTS, "dogstatsd": DOGSTATSD}
SERIES_TEXTS: dict[str, Any] = {
    "graphite": lambda common: graphite.series_texts(common, tagged=True),
    "graphite-path": lambda common: graphite.series_texts(common, tagged=False),
    "influx": influx.series_texts,
}


def nothing(tags: Any, *_: Any) -> tuple[list[None], int, bool]:
    """An engine that can write no text."""
    return [None] * len(tags), len(tags), True


@pytest.fixture(params=["native", "reference"])
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What makes a tag set of an engine whose function all exporters use."""
    engine = load_engine(request.param)
    for module in (series_texts, statsd_dialects, json_lines):
        monkeypatch.setattr(module, "tag_texts", engine.tag_texts)
    for module in (graphite, influx, json_lines, statsd):
        monkeypatch.setattr(module, "number_lines", engine.number_lines)
    return engine.TagSet


def snapshot(made: Any, column: list[dict[str, str]]) -> tm.Snapshot:
    tags = tuple([made(one) for one in column])
    numbers = tuple([NUMBERS[row % len(NUMBERS)] for row in range(len(tags))])
    data: list[Any] = [tm.SumData(tags, numbers, numbers, True), tm.GaugeData(tags, numbers, numbers)]
    data.append(tm.SummaryData(tags, numbers, tuple(range(len(tags))), numbers))
    return tm.Snapshot(tuple([family(f"n{place}", "gauge", one) for place, one in enumerate(data)]), 1.0)


def both(monkeypatch: pytest.MonkeyPatch, encode: Any) -> tuple[Any, Any]:
    """Return what is encoded with the help of an engine, and without it."""
    found = encode()
    with monkeypatch.context() as patch:
        for module in (series_texts, statsd_dialects, json_lines):
            patch.setattr(module, "tag_texts", nothing)
        for module in (graphite, influx, json_lines, statsd):
            patch.setattr(module, "number_lines", lambda *_: None)
        return found, encode()


def many(test: Any) -> Any:
    return settings(max_examples=60)(given(COLUMNS, TAGS, st.booleans())(test))


@pytest.mark.slow
@pytest.mark.parametrize("name", SERIES_TEXTS)
def test_series_texts(name: str, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = influx if name == "influx" else graphite

    @many
    def check(column: list[dict[str, str]], common: dict[str, str], again: bool) -> None:
        def encode() -> tuple[list[bytes], list[Any], list[Any]]:
            texts, told = SERIES_TEXTS[name](common), []
            options = {} if name == "influx" else {"tagged": name == "graphite"}
            for _ in range(1 + again):
                found = b"".join(module.parts(shown, texts, dropped=lambda *what: told.append(what), **options))
            series = [(one.exact, list(one.texts[:]), list(one.groups)) for one in texts.of(shown)]
            return found, told, series

        shown = snapshot(made, column)
        ours, theirs = both(monkeypatch, encode)
        assert ours == theirs
        for _, texts, _ in ours[2]:
            assert len(set(texts)) == len(texts)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", STATSD)
def test_statsd(name: str, made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @many
    def check(column: list[dict[str, str]], common: dict[str, str], only_ascii: bool) -> None:
        def encode() -> tuple[list[bytes], set[Any]]:
            texts, told = TagTexts(STATSD[name], common, only_ascii=only_ascii), set()
            found = [list(statsd.parts(shown, texts, most_bytes=9999, dropped=lambda *what: told.add(what))) for _ in range(2)]
            assert found[0] == found[1]
            return found[0], told - {("n1", "name"), ("n2", "name")}  # texts that are kept are told of the first metric alone

        shown = snapshot(made, column)
        ours, theirs = both(monkeypatch, encode)
        assert ours == theirs

    check()


@pytest.mark.slow
def test_json(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @many
    def check(column: list[dict[str, str]], common: dict[str, str], _: bool) -> None:
        shown = snapshot(made, column)
        ours, theirs = both(monkeypatch, lambda: list(json_lines.parts(shown, tags=common)))
        assert ours == theirs

    check()


PAIRS = ["".join(map(chr, pair)) for pair in product(range(128), repeat=2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SERIES_TEXTS, *[f"statsd-{dialect}" for dialect in STATSD], "json"])
def test_each_two_characters(name: str) -> None:
    """Whatever is before and after a character, at the beginning of a value, at its end or in the midst."""
    if name in SERIES_TEXTS:
        form = SERIES_TEXTS[name]({})._format_of(tm.GaugeData)
        write, becomes = form.write, form.becomes
    else:
        texts: Any = json_lines._Tags({}) if name == "json" else TagTexts(STATSD[name[7:]], {})
        write, becomes = texts._written, json_lines._CHARACTERS if name == "json" else texts._becomes
    frames = Frames(write)
    n_written = 0
    others = [f"a{chr(place)}" for place in [*range(128, 0x3100), *range(0xFE00, 0x10400), 0x1F600, 0x10FFFF]]
    for values in (PAIRS, [f"a{pair}" for pair in PAIRS], [f"{pair}a" for pair in PAIRS], others):
        column = [tm.TagSet(k=value) for value in values]
        for tags, found in zip(column, tag_texts(column, frames, becomes, sys.maxsize)[0], strict=True):
            n_written += found is not None
            assert found in (None, write(tags))
    assert n_written > 3 * 90 * 90


def exact_texts(name: str, column: list[dict[str, str]], common: dict[str, str]) -> list[str]:
    """Return the texts of those tag sets of which the engine writes an exact one."""
    writer = series_texts._Writer(SERIES_TEXTS[name]({})._format_of(tm.GaugeData), common)
    found = [writer.column((tm.TagSet(tags),)) for tags in column]
    return [texts[0] for texts, missing, exact in found if exact and not missing and texts[0] is not None]


@settings(max_examples=300)
@given(st.sampled_from(sorted(SERIES_TEXTS)), COLUMNS, TAGS)
@example("graphite", [{}, {"a": "1"}], {"a": "1"})
@example("graphite", [{"a": "1;b=2"}, {"a": "1", "b": "2"}], {})
@example("graphite-path", [{"a": "1.b.2"}, {"a": "1", "b": "2"}, {"a.1.b": "2"}], {})
@example("influx", [{"a": "1,b=2"}, {"a": "1", "b": "2"}, {"a": "1\\", "b": "2"}], {})
def test_exact_texts_of_different_tags_differ(name: str, column: list[dict[str, str]], common: dict[str, str]) -> None:
    texts = exact_texts(name, column, common)
    assert len(set(texts)) == len(texts)


def test_only_what_is_exact_and_overrides_nothing_is_told_apart_by_its_tags() -> None:
    assert exact_texts("graphite", [{"b": "1"}, {"a": "1"}, {}], {"a": "1"}) == [";a=1;b=1", ";a=1"]
    assert exact_texts("graphite", [{"name": "1"}, {"a": "1 2"}, {"a": ""}], {}) == []


def test_series_that_become_the_same_are_one(made: Any) -> None:
    shown = snapshot(made, [{"a": "1 2"}, {"a": "1_2"}, {"a": "1\n2"}, {"b": "1"}])
    told: list[Any] = []
    found = b"".join(graphite.parts(shown, SERIES_TEXTS["graphite"]({}), dropped=lambda *what: told.append(what)))
    assert found.splitlines()[:4] == [b"n0;a=1_2 3.1 1", b"n0;b=1 1e+16 1", b"n1;a=1_2 0.1 1", b"n1;b=1 1e+16 1"]
    assert told == [("n0", "name"), ("n1", "name"), ("n2", "name")]


@pytest.mark.parametrize("column", [tuple, list])
def test_a_tag_set_that_is_there_twice_is_one_series(column: Any) -> None:
    tags = column([tm.TagSet(a="1")] * 2)
    shown = tm.Snapshot((family("n", "counter", tm.SumData(tags, (0.0, 0.0), (1.0, 2.0), True)),), 1.0)
    assert b"".join(graphite.parts(shown, SERIES_TEXTS["graphite"]({}))) == b"n;a=1 3.0 1\n"


def test_a_metric_whose_tags_change_in_its_next_report_is_told_as_it_is_then(made: Any) -> None:
    for name in ("graphite", "influx"):
        module: Any = influx if name == "influx" else graphite
        texts = SERIES_TEXTS[name]({"env": "prod"})
        columns = [
            [{"a": "1"}],
            [{"a": "1"}, {"a": "2,;"}],
            [{"a": "1"}, {"env": "x"}],
            [{"a": "3"}],
            [{"a": "1"}, {"a": ""}],
            [],
        ]
        for column in columns:
            shown = snapshot(made, column)
            assert list(module.parts(shown, texts)) == list(module.parts(shown, SERIES_TEXTS[name]({"env": "prod"})))


# Frames


def test_a_frame_is_what_stands_around_values() -> None:
    frames = Frames(lambda tags: ",".join([f"{key}={value}" for key, value in tags.items()]) + ";")
    assert frames["a", "b"] == (("a=", ",b=", ";"), True)
    assert frames[()] == ((";",), True)
    assert frames["é",] is None
    assert frames["Q0Q",] is None  # which looks like a value


def test_a_frame_tells_whether_keys_are_told_as_they_are() -> None:
    assert Frames(lambda tags: Changed("".join(tags.values())))["a",] == (("", ""), False)


@pytest.mark.parametrize("text", ["Q1QQ0Q", "Q0Q", "", "Q0QQ1QQ1Q", None])
def test_there_is_no_frame_where_values_are_not_in_their_places(text: str | None) -> None:
    assert Frames(lambda tags: text)["a", "b"] is None


def test_a_bounded_number_of_frames_is_kept() -> None:
    frames = Frames(lambda tags: "".join(tags.values()))
    for i in range(5000):
        assert frames[f"k{i}",] == (("", ""), True)
        assert len(frames) <= 1000


def test_characters_of_values_are_those_that_are_written() -> None:
    table = characters(lambda value: "_" if value == "b" else value, odd="c")
    assert (table[ord("a")], table[ord("b")], table[ord("c")], table[128], len(table)) == (ord("a"), ord("_"), 0, 0, 129)
    assert characters(lambda value: value, others="?")[128] == ord("?")


# Keys of which there are very many


def test_series_of_very_many_sets_of_keys_are_told_once_each(made: Any) -> None:
    column = [{f"k{i}": "1", "a": "2"} for i in range(3000)]
    found = b"".join(json_lines.parts(snapshot(made, column)))
    assert found.count(b'"a":"2","k2999":"1"') == 3
    assert len(set(found.splitlines())) == 9000
