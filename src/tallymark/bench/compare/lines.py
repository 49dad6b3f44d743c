"""The lines whose cost differs between two profiles of a benchmark, of two revisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from tallymark.bench.result.profile import Cost, Place, Profile

__all__ = ["LineChange", "line_changes"]

#: Standard errors by which a share of the samples, and the time, must differ: of a hundred lines that do not, none does.
_SURE = 4.0
_ALIKE = 0.5  # of the characters of two lines, if one is said to have become the other

Sided = tuple[Place, Cost]
Pair = tuple[Sided | None, Sided | None]


@dataclass(frozen=True)
class LineChange:
    """A line on both sides, or on one, and its costs there.

    Attributes:
        timed: its time differs by more than samples of one thing do. Its counts are exact: they need no test.
    """

    old: Place | None
    new: Place | None
    before: Cost
    after: Cost
    timed: bool = False

    def delta(self, metric: str) -> float:
        """Return by how much more the new side costs: allocs, reallocs, bytes, objects or time."""
        return float(round(getattr(self.after, metric) - getattr(self.before, metric), 12))

    @property
    def differs(self) -> bool:
        return self.timed or any(self.delta(one) for one in ("allocs", "reallocs", "bytes", "objects"))


def line_changes(old: Profile, new: Profile, by: str = "allocs") -> list[LineChange]:
    """Return the lines whose figures differ, those that differ most in `by` first.

    A line that moved is the same line: lines are matched by their text within a function; then, for functions that were renamed
    or moved, within a file and within functions of one name.
    """
    found = [_change(pair, old, new) for pair in _matched(list(old.lines().items()), list(new.lines().items()))]
    order = ["allocs", "bytes", "objects", "time"]
    order.insert(0, by)

    def rank(change: LineChange) -> tuple[Any, ...]:
        place = change.new or change.old or Place("", "", 0)
        sizes = [-abs(change.delta(one)) if one != "time" or change.timed else 0.0 for one in order]
        return *sizes, place.file, place.line

    return sorted((one for one in found if one.differs), key=rank)


def _change(pair: Pair, old: Profile, new: Profile) -> LineChange:
    (was, before), (now, after) = (one or (None, Cost()) for one in pair)
    return LineChange(was, now, before, after, _is_sure(before.time, old, after.time, new))


def _is_sure(before: float, old: Profile, after: float, new: Profile) -> bool:
    """Return True if a line's time differs, and so does its share of the op, in the same direction.

    The time alone differs for all lines if the machine was slower on one side; the share alone, if another line was.
    """
    whole = (old.cost.time, new.cost.time)
    if not (all(whole) and old.samples and new.samples):
        return False
    shares = (before / whole[0], after / whole[1])
    errors = [math.sqrt(max(p * (1 - p), 1 / n) / n) for p, n in zip(shares, (old.samples, new.samples), strict=True)]
    by_share = (shares[1] - shares[0]) / math.hypot(*errors)
    by_time = (after - before) / math.hypot(errors[0] * whole[0], errors[1] * whole[1])
    return min(by_share, by_time) > _SURE or max(by_share, by_time) < -_SURE


def _matched(old: Sequence[Sided], new: Sequence[Sided]) -> Iterator[Pair]:
    keys: list[Callable[[Place], Any]] = [
        lambda place: (place.file, place.function),
        lambda place: place.file,
        lambda place: place.function,
    ]
    for key in keys:
        pairs = list(_matched_by(key, old, new))
        if key is keys[0]:
            yield from (pair for pair in pairs if all(pair))
        else:  # a line that is only alike may be another one, outside of its function
            yield from (pair for pair in pairs if _same_text(pair))
        kept = [pair for pair in pairs if not all(pair) or (key is not keys[0] and not _same_text(pair))]
        old = [one for one, _ in kept if one]
        new = [one for _, one in kept if one]
    yield from ((one, None) for one in old)
    yield from ((None, one) for one in new)


def _same_text(pair: Pair) -> bool:
    old, new = pair
    return old is not None and new is not None and old[0].text == new[0].text


def _matched_by(key: Callable[[Place], Any], old: Sequence[Sided], new: Sequence[Sided]) -> Iterator[Pair]:
    groups: dict[Any, tuple[list[Sided], list[Sided]]] = {}
    for side, lines in enumerate((old, new)):
        for one in sorted(lines, key=lambda one: (one[0].file, one[0].line)):
            groups.setdefault(key(one[0]), ([], []))[side].append(one)
    for a, b in groups.values():
        matcher = SequenceMatcher(None, [one[0].text for one in a], [one[0].text for one in b], autojunk=False)
        for kind, a1, a2, b1, b2 in matcher.get_opcodes():
            yield from zip(a[a1:a2], b[b1:b2], strict=True) if kind == "equal" else _edited(a[a1:a2], b[b1:b2])


def _edited(old: list[Sided], new: list[Sided]) -> Iterator[Pair]:
    """Pair the lines of one block with those that replaced it, the most alike first."""
    ratios = [(SequenceMatcher(None, a[0].text, b[0].text).ratio(), i, j) for i, a in enumerate(old) for j, b in enumerate(new)]
    left, right = set(range(len(old))), set(range(len(new)))
    for ratio, i, j in sorted(ratios, key=lambda one: (-one[0], one[1:])):
        if ratio >= _ALIKE and i in left and j in right:
            left.remove(i)
            right.remove(j)
            yield old[i], new[j]
    yield from ((old[i], None) for i in sorted(left))
    yield from ((None, new[j]) for j in sorted(right))
