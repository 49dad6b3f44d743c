"""Tells an object that a service makes once from one that it makes for each op, by how an op makes and uses it.

Both are made by sound ops: requests, orders and paths are made for each op of a service, too.
What is used again and again is given something new to work on: a template gets values, a validator a document, a connection a
statement. What an op works on is not: a request is asked for a header that is in it, an order for its total. So an object
counts as one that a service makes once only if

- it is not a value: its type does not define equality, as paths, dates, mappings and frozen dataclasses do, nor does it give
  new ones of its type, as vectors do;
- it does not grow with each use, as an order does that gets one line after another;
- it is given what it did not have, or holds no data at all;
- it does not come from an object that was set up above the loop, as a future or a cursor does; nor does it work for one from
  a `with` to its end, as a session does.

What gives new objects of another class is given something new each time: a factory. What was told something before it is
asked was set up by that. Always counted are: classes and functions with state, such as caches; objects of types of the standard
library that a program makes once; objects and tables that are made from constants of the file alone, as each op makes the same.

Initialisation is what makes such objects and sets them up, and what their first use costs more than its repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, ModuleType

from tallymark.bench.measure.initialisation.evidence import KINDS, Evidence
from tallymark.bench.measure.initialisation.objects import is_made_once, is_service, reaches
from tallymark.bench.measure.initialisation.recorder import Event
from tallymark.bench.result.result import Finding

#: A repeat is cheaper if it costs so many times less, and so much less.
RATIO = {"allocations": 1.5, "lines": 1.5, "microseconds": 3.0}
LEAST = {"allocations": 4, "lines": 5, "microseconds": 15}
#: An event that starts threads sets up by nature: less is enough. What threads cost is told by time alone.
RATIO_OF_THREADS = 1.5
#: What makes an object is dear from so much on.
DEAR = {"allocations": 12, "lines": 15, "microseconds": 25}
#: Initialisation is too much of an op if it is such a share of it: it adds a quarter to what the op costs without it.
SHARE = 1 / 5


def judge(evidence: Evidence) -> list[Finding]:
    """Return a warning about what is made and set up in an op, if this is a large part of it; or none."""
    uses = list(_uses(evidence))
    for kind in KINDS:
        found = _by(evidence, uses, kind)
        if found is not None:
            return [found]
    return []


def _uses(evidence: Evidence) -> Iterator[tuple[int, bool, bool]]:
    """Yield the events that use what a service would make once: whether its making counts, and whether its first use does."""
    for index, event in enumerate(evidence.events):
        subject = evidence.subject(event)
        if subject is None or event.kind in ("enter", "exit") or _is_value(evidence, event, subject):
            continue
        if evidence.is_scope(subject):
            continue
        works = evidence.works(event)
        brings = works and (evidence.brings(index, subject) or _is_factory(evidence, event, subject))
        is_class = evidence.is_class(subject) or (works and is_made_once(subject))
        again = works and (brings or not evidence.known(index, subject).holds)
        brings = brings and not _only_fills(evidence, event)
        if brings or is_class or again:
            yield index, brings or is_class, again


def _is_value(evidence: Evidence, event: Event, subject: object) -> bool:
    """Return True if an object gives another of its type each time, as a vector does that is scaled. A child is kept."""
    repeats = evidence.repeats.get(event.site)
    return repeats is not None and repeats.gives_new and type(event.result) is type(subject) is not FunctionType


def _is_factory(evidence: Evidence, event: Event, subject: object) -> bool:
    """Return True if an object gives a new one of another class each time, or one of a class that it is given."""
    repeats, made = evidence.repeats.get(event.site), event.result
    if repeats is None or event.target is not subject or not is_service(made) or type(made) is type(subject):
        return False
    return repeats.gives_new or type(made) in event.given


def _configures(event: Event) -> bool:
    """Return True for a function that sets up what a module holds, such as `logging.config.dictConfig`."""
    name = getattr(event.function, "__name__", "").lower()
    return event.kind == "call" and event.result is None and not event.transparent and _is_function(event) and "config" in name


def _is_function(event: Event) -> bool:
    return event.target is None or isinstance(event.target, ModuleType)


def _only_fills(evidence: Evidence, event: Event) -> bool:
    """Return True if an event puts something into its subject, or gives it back, and does no more: a header into a request."""
    repeats = evidence.repeats.get(event.site)
    gives_itself = event.result is not None and event.result is evidence.subject(event)
    if repeats is None or not (gives_itself or (repeats.sets_up and event.result is None)):
        return False
    return not any(list(_saved(evidence, {event.site}, kind)) for kind in KINDS) and not _digests(evidence, event)


def _digests(evidence: Evidence, event: Event) -> bool:
    """Return True if an event does much each time with what it is given, and its subject keeps none of it: a line of a log."""
    repeats, subject = evidence.repeats[event.site], evidence.subject(event)
    assert repeats is not None  # noqa: S101
    works_hard = any(repeats.costs[kind][1] >= DEAR[kind] for kind in ("allocations", "lines"))
    return works_hard and not any(reaches(subject, one) for one in event.given)


def _by(evidence: Evidence, uses: list[tuple[int, bool, bool]], kind: str) -> Finding | None:
    total = evidence.totals[kind]
    making = {
        one for index, counts, _ in uses if counts for one in evidence.behind(evidence.subject(evidence.events[index]), index)
    }
    making |= {index for index, event in enumerate(evidence.events) if _configures(event)}
    making |= set(evidence.tables()) | set(evidence.made_of_constants())
    cost = evidence.cost(kind, making)
    saved = sorted(_saved(evidence, {evidence.events[index].site for index, _, again in uses if again}, kind))
    first = sum(one for one, _ in saved)
    if first >= LEAST[kind] and first >= SHARE * total and first >= cost / 2:
        return _of_first_use(evidence, saved[-1][1], uses, kind)
    if making and cost + first >= DEAR[kind] and cost + first >= SHARE * total:
        return _of_making(evidence, making, kind, cost + first, total)
    return None


def _makers(evidence: Evidence, index: int) -> list[int]:
    return evidence.behind(evidence.subject(evidence.events[index]), index)


def _saved(evidence: Evidence, sites: set[int], kind: str) -> Iterator[tuple[float, int]]:
    """Yield what each site would save if its events were repeats."""
    for site in sites:
        repeats = evidence.repeats.get(site)
        if repeats is None:
            continue
        first, again = repeats.costs[kind]
        starts = any(event.threads > 0 for event in evidence.events if event.site == site)
        ratio = RATIO_OF_THREADS if starts else RATIO[kind]
        if first - again >= LEAST[kind] and first >= ratio * again:
            yield first - again, site


def _of_first_use(evidence: Evidence, site: int, uses: list[tuple[int, bool, bool]], kind: str) -> Finding:
    found = evidence.repeats[site]
    assert found is not None  # noqa: S101
    first, again = found.costs[kind]
    index = next(index for index, _, counts in uses if counts and evidence.events[index].site == site)
    makers = _makers(evidence, index)
    where = evidence.sites[site]
    return Finding(
        "measures-initialisation",
        f"measures initialisation: `{where.text}` costs {first:.0f} {kind} the first time and {again:.0f} when repeated",
        where.line,
        where.text,
        f"Move `{_told(evidence, makers)}` above b.loop().",
    )


def _of_making(evidence: Evidence, makers: set[int], kind: str, cost: float, total: float) -> Finding:
    dearest = max(makers, key=lambda one: evidence.cost(kind, {one}))
    where = evidence.sites[evidence.events[dearest].site]
    told = _told(evidence, sorted(makers))
    return Finding(
        "measures-initialisation",
        f"measures initialisation: `{told}` costs {cost:.0f} of the op's {total:.0f} {kind}",
        where.line,
        where.text,
        f"Move `{told}` above b.loop(), if a service makes it once.",
    )


def _told(evidence: Evidence, makers: list[int]) -> str:
    """Return the statements that made an object, without what is only a part of another."""
    texts = list(dict.fromkeys(evidence.sites[evidence.events[one].site].text for one in makers))
    return "; ".join(one for one in texts if not any(one != other and one in other for other in texts))
