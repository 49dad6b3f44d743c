"""Tells an object that a service makes once from one that it makes for each op, by how an op makes and uses it.

Both are made by sound ops: requests, orders and paths are made for each op of a service, too. So a cheap repeat is not enough.
What is used again and again is given something new to work on: a template gets values, a validator a document, a connection a
statement. What an op works on is not: a request is asked for a header that is in it, an order for its total. So an object
counts as one that a service makes once only if

- it is not a value: its type does not define equality, as paths, dates, mappings and frozen dataclasses do;
- it does not grow with each use, as an order does that gets one line after another;
- it is given what it did not have, or holds no data at all;
- it does not come from an object that was set up above the loop, as a future or a cursor does.

Classes and functions with state, such as caches, always count.
"""

from __future__ import annotations

from collections.abc import Iterator

from tallymark.bench.measure.evidence import KINDS, Evidence, Known
from tallymark.bench.result.result import Finding

#: A repeat is cheaper if it costs so many times less, and so much less, and that is so much of the op.
RATIO = {"allocations": 1.5, "lines": 1.5, "microseconds": 3.0}
LEAST = {"allocations": 4, "lines": 5, "microseconds": 15}
PART = 0.2
#: What makes an object is too much of the op if it is such a share of it, and dear.
SHARE = 0.4
DEAR = {"allocations": 10, "lines": 12, "microseconds": 25}


def judge(evidence: Evidence) -> list[Finding]:
    """Return a warning about the step whose repeat saves most, or else about what makes an object; or none."""
    firsts = [one for window in evidence.repeats for one in _first_uses(evidence, window)]
    if firsts:
        return [max(firsts, key=lambda one: one[0])[1]]
    made = [one for index in range(len(evidence.steps)) for one in _making(evidence, index)]
    return [max(made, key=lambda one: one[0])[1]] if made else []


def _first_uses(evidence: Evidence, window: tuple[int, int]) -> Iterator[tuple[float, Finding]]:
    """Yield a warning for each step of a window that is much cheaper when repeated, and how much of the op that saves."""
    repeat = evidence.repeats[window]
    if repeat.grows or not repeat.same or not _is_reused(evidence, window):
        return
    for kind in KINDS:
        costs = repeat.costs.get(kind, {})
        for index, (first, again) in costs.items():
            if not window[0] <= index <= evidence.steps[window[1]].last or evidence.steps[index].piece.in_loop:
                continue
            if not evidence.receivers(index):
                continue
            saved = first - again
            if saved >= LEAST[kind] and first >= RATIO[kind] * again and saved >= PART * evidence.total(kind):
                yield saved / max(evidence.total(kind), 1), _of_first_use(evidence, index, kind, first, again)


def _is_reused(evidence: Evidence, window: tuple[int, int]) -> bool:
    """Return True if a window's steps work on something new, or on objects that hold no data."""
    indexes = range(window[0], window[1] + 1)
    if any(evidence.brings(index) for index in indexes):
        return True
    return not any(Known(evidence.given({name}, index)).holds for index in indexes for name in evidence.receivers(index))


def _making(evidence: Evidence, index: int) -> Iterator[tuple[float, Finding]]:
    """Yield a warning if an object that a step uses costs a large part of the op to make and set up."""
    used = evidence.receivers(index)
    if not used:
        return
    repeats = [one for window, one in evidence.repeats.items() if window[1] == index]
    is_class = bool(used & evidence.classes)
    works_again = any(one.same and not one.grows for one in repeats) and evidence.brings(index)
    if not is_class and not works_again:
        return
    makers = evidence.behind(used, index)
    for kind in KINDS:
        whole = evidence.whole[kind]
        cost, total = sum(whole.get(one, 0) for one in makers), evidence.total(kind)
        if cost >= DEAR[kind] and cost >= SHARE * total:
            yield cost / total, _of_making(evidence, makers, kind, cost, total)


def _of_first_use(evidence: Evidence, index: int, kind: str, first: float, again: float) -> Finding:
    step = evidence.steps[index]
    makers = evidence.behind(evidence.receivers(index), index)
    return Finding(
        "measures-initialisation",
        f"measures initialisation: `{step.text}` costs {first:.0f} {kind} the first time and {again:.0f} when repeated",
        step.piece.line,
        step.text,
        f"Move `{_told(evidence, makers)}` above b.loop().",
    )


def _of_making(evidence: Evidence, makers: list[int], kind: str, cost: float, total: float) -> Finding:
    dearest = max(makers, key=lambda one: evidence.whole[kind].get(one, 0))
    step = evidence.steps[dearest]
    return Finding(
        "measures-initialisation",
        f"measures initialisation: `{_told(evidence, makers)}` costs {cost:.0f} of the op's {total:.0f} {kind}",
        step.piece.line,
        step.text,
        f"Move `{_told(evidence, makers)}` above b.loop(), if a service makes it once.",
    )


def _told(evidence: Evidence, makers: list[int]) -> str:
    return "; ".join(dict.fromkeys(evidence.steps[one].text for one in makers))
