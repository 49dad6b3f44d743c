"""A strict reader of OpenMetrics, written from the grammar of the specification alone; names may also be quoted.

prometheus_client's parser loses its way in exemplars with quotes or braces, and does not check how families are put together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STRING = r'"((?:[^"\\\n]|\\["\\n])*)"'
METRIC = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|Inf)|NaN"
LABEL = re.compile(rf"(?:([a-zA-Z_][a-zA-Z0-9_]*)|{STRING})={STRING}")
HEAD = re.compile(rf"# (TYPE|UNIT|HELP) (?:({METRIC})|{STRING}) (.*)", re.DOTALL)
ESCAPE = re.compile(r'\\(["\\n])')
SUFFIXES = {
    "counter": ["_total", "_created"], "info": ["_info"], "histogram": ["_bucket", "_count", "_sum", "_created"],
    "summary": ["_count", "_sum", "_created"],
}  # fmt: skip


@dataclass
class Sample:
    name: str
    labels: dict[str, str]
    value: float
    exemplar: tuple[dict[str, str], float, float | None] | None = None


@dataclass
class Family:
    name: str
    type: str = ""
    unit: str = ""
    help: str = ""
    samples: list[Sample] = field(default_factory=list)


def unescape(text: str) -> str:
    return ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)


class Line:
    """A line that is read from its start; what is not as it must be is an `AssertionError`."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def take(self, pattern: str) -> re.Match[str]:
        match = re.compile(pattern).match(self.text, self.at)
        assert match, (pattern, self.text[self.at :])
        self.at = match.end()
        return match

    def next_is(self, text: str) -> bool:
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def labels(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while not self.next_is("}"):
            if found:
                self.take(",")
            name, spelled, value = self.take(LABEL.pattern).groups()
            name = unescape(spelled) if name is None else name
            assert name not in found
            assert not name.startswith("__")
            found[name] = unescape(value)
        return found


def read(text: str) -> list[Family]:
    """Return the families of an exposition."""
    *lines, eof, end = text.split("\n")
    assert (eof, end) == ("# EOF", "")
    families: list[Family] = []
    for line in lines:
        if line.startswith("#"):
            _read_head(line, families)
        else:
            families[-1].samples.append(_read_sample(line))
    for family in families:
        _check(family)
    names = [name for family in families for name in {family.name, *_names(family)}]
    assert len(set(names)) == len(names)
    return families


def _read_head(line: str, families: list[Family]) -> None:
    match = HEAD.fullmatch(line)
    assert match, line
    what, plain, spelled, rest = match.groups()
    name = unescape(spelled) if plain is None else plain
    if what == "TYPE":
        families.append(Family(name, type=rest))
        return
    family = families[-1]
    assert family.name == name
    assert not family.samples
    assert not family.help
    if what == "UNIT":
        assert not family.unit
        assert re.fullmatch("[a-zA-Z0-9_:]+", rest)
        assert name.endswith(f"_{rest}")
        assert family.type not in ("info", "stateset")
        family.unit = rest
    else:
        assert re.fullmatch(r'(?:[^"\\\n]|\\["\\n])*', rest)
        family.help = unescape(rest)


def _read_sample(text: str) -> Sample:
    line = Line(text)
    labels: dict[str, str] = {}
    if line.next_is('{"'):
        line.at -= 1
        name = unescape(line.take(STRING)[1])
        if line.next_is(","):
            labels = line.labels()
        else:
            line.take("}")
    else:
        name = line.take(METRIC)[0]
        labels = line.labels() if line.next_is("{") else {}
    value = float(line.take(rf" ({NUMBER})")[1])
    exemplar = None
    if line.next_is(" # {"):
        exemplar_labels = line.labels()
        assert sum(len(key) + len(value) for key, value in exemplar_labels.items()) <= 128
        number = float(line.take(rf" ({NUMBER})")[1])
        time = float(line.take(rf" ({NUMBER})")[1]) if line.at < len(text) else None
        exemplar = exemplar_labels, number, time
    assert line.at == len(text), text
    return Sample(name, labels, value, exemplar)


def _names(family: Family) -> set[str]:
    return {family.name + suffix for suffix in SUFFIXES.get(family.type, [""])}


def _check(family: Family) -> None:
    """Check that the samples are of the type, that none is there twice, and that those of one metric are together."""
    seen: set[object] = set()
    ended: set[object] = set()
    current: object = None
    for sample in family.samples:
        assert sample.name in _names(family), (sample.name, family.type)
        group = frozenset(sample.labels.items())
        if family.type == "stateset":
            assert sample.value in (0, 1)
            group = frozenset((key, value) for key, value in group if key != family.name)
            assert family.name in sample.labels
        if sample.name == f"{family.name}_bucket" and family.type == "histogram":
            group = frozenset((key, value) for key, value in group if key != "le")
            if sample.exemplar:
                assert sample.exemplar[1] <= float(sample.labels["le"])
        if family.type == "info":
            assert sample.value == 1
        if family.type in ("counter", "histogram", "summary"):
            assert sample.value >= 0
        if group != current:
            assert group not in ended
            ended.add(current)
            current = group
        key = sample.name, frozenset(sample.labels.items())
        assert key not in seen
        seen.add(key)
        bucket = family.type == "histogram" and sample.name.endswith("_bucket")
        assert sample.exemplar is None or bucket or (family.type == "counter" and sample.name.endswith("_total"))
