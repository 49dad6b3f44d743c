"""Whatever names, tags and numbers are: a server takes from our datagrams the series that there are, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsd_grammar import Sample, read

import tallymark as tm
from tallymark.export.statsd import parts
from tallymark.export.statsd_dialects import DIALECTS, DOGSTATSD, TagTexts

# What means something in some dialect, and characters whose UTF-8 has bytes that do if the eighth bit is lost.
SPICE = [*"|:\n\r\0,;=#@~!^[]{} .-_\"\\\t", "|c", "|#a:b", "\n_e{1,1}:a|b", "_sc|a|0", "x:1|c\nforged:1|c", "\u028a", "\u02ba",
         "\u00a3", "\u2028", "\x85", "\ud800", "é", "😀", "0", "5|g", "|@0.1"]  # fmt: skip
TEXT = st.lists(st.one_of(st.sampled_from(SPICE), st.characters(), st.text("ab", min_size=1, max_size=3)), max_size=6).map(
    "".join
)
NAME = st.one_of(TEXT, st.sampled_from(["_e{1,1}", "_sc|x", "n", "", "a\nb", "name"]))
KEY = st.text("ab._-/:é\u028aname", min_size=1, max_size=6).filter(lambda key: key[0].isalpha())
NUMBERS = st.one_of(st.floats(), st.integers(0, 50).map(float))
FAMILIES = st.lists(
    st.tuples(NAME, st.sampled_from(["counter", "gauge", "histogram"]), st.dictionaries(KEY, TEXT, max_size=3), NUMBERS),
    max_size=4,
)
HOSTILE_TAGS = st.dictionaries(KEY, TEXT, max_size=2)


def family(name: str, kind: str, tags: dict[str, str], value: float) -> tm.FamilySnapshot:
    columns = (tm.TagSet(tags),), (0.0,)
    match kind:
        case "counter":
            return tm.FamilySnapshot(name, kind, "", "", tm.SumData(*columns, (value,), True))
        case "gauge":
            return tm.FamilySnapshot(name, kind, "", "", tm.GaugeData(*columns, (value,)))
    counts = (0, 3) if value > 1.0 else (3, 0)
    data = tm.HistogramData(*columns, (1.0,), (counts,), (3 * value,), (value,), (value,))
    return tm.FamilySnapshot(name, kind, "", "", data)


def wanted(value: float, kind: str, dialect: str) -> list[float]:
    """Return what a server must take from a metric."""
    if value - value != 0.0:  # no number, or infinite
        return []
    if kind == "gauge":
        return [0.0, value] if value < 0 and dialect != "dogstatsd" else [value]
    if kind == "counter":
        return [value] if value else []
    if value < 0.0 and dialect != "dogstatsd":
        return []
    return [value]


def is_alike(found: str, original: str) -> bool:
    """Return True for a text in which some characters were replaced, and nothing else happened."""
    return len(found) == len(original) and all(new in ("_", old) for new, old in zip(found, original, strict=True))


def check(samples: list[Sample], families: list[tm.FamilySnapshot], values: list[list[float]], common: dict[str, str]) -> None:
    expected = [(family, value) for family, some in zip(families, values, strict=True) for value in some]
    assert len(samples) == len(expected)
    for sample, (family, value) in zip(samples, expected, strict=True):
        assert sample.value == value
        assert sample.type == {"counter": "c", "gauge": "g"}.get(family.kind, sample.type)
        assert sample.count == (3 if family.kind == "histogram" else 1)
        merged = {**common, **family.data.tags[0]}
        assert len(sample.tags) <= len([tag for tag in merged.values() if tag])
        if len(sample.tags) == len([tag for tag in merged.values() if tag]) and "name" not in merged:
            for key, text in sample.tags.items():
                assert any(is_alike(key, one) and is_alike(text, other) for one, other in merged.items())


@pytest.mark.slow
@pytest.mark.parametrize("dialect", [*DIALECTS, "dogstatsd"])
@settings(max_examples=60)
@given(st.booleans(), FAMILIES, HOSTILE_TAGS, st.sampled_from([1432, 120, 65507]))
def test_nobody_forges_a_line(
    dialect: str, only_ascii: bool, rows: list[tuple[str, str, dict[str, str], float]], common: dict[str, str], most: int
) -> None:
    rows = [
        row for row in rows if row[1] != "histogram" or row[3] == row[3]
    ]  # of what is no number, nobody knows what to expect
    families = [family(*row) for row in rows]
    texts = TagTexts({**DIALECTS, "dogstatsd": DOGSTATSD}[dialect], common, only_ascii=only_ascii)
    told: set[tuple[str, str]] = set()
    found = list(parts(tm.Snapshot(tuple(families), 0.0), texts, most_bytes=most, dropped=lambda *what: told.add(what)))
    assert all(len(part) <= most for part in found)
    samples = [sample for part in found for sample in read(part, dialect)]
    if "too_long" not in {reason for _, reason in told}:
        check(samples, families, [wanted(value, kind, dialect) for _, kind, _, value in rows], common)
    if only_ascii:  # to a server that reads seven bits of each byte, it is the same
        assert [sample for part in found for sample in read(bytes([byte & 0x7F for byte in part]), dialect)] == samples
