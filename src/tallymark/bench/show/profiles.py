"""A profile as files of other tools: speedscope and pstats."""

from __future__ import annotations

import marshal
from itertools import pairwise
from typing import Any

from tallymark.bench.result.profile import METRICS, Place, Profile
from tallymark.version import __version__

__all__ = ["to_pstats", "to_speedscope"]

Function = tuple[str, int, str]


def to_speedscope(profile: Profile, by: str = "allocs") -> dict[str, Any]:
    """Return a profile as speedscope's JSON: one sampled profile for each of allocs, bytes and time; `by` is shown first.

    https://www.speedscope.app/file-format-schema.json; a sample is a stack of lines, its weight what the innermost line costs.
    """
    at: dict[Place, int] = {}
    for node in profile.nodes:
        at.setdefault(node.place, len(at))
    frames = [
        {"name": _plain(place.function), **({"file": _plain(place.file), "line": place.line} if place.file else {})}
        for place in at
    ]
    metrics = [one for one in METRICS if one != "time" or profile.cost.time]
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": _plain(profile.name),
        "exporter": f"tallymark@{__version__}",
        "activeProfileIndex": metrics.index(by) if by in metrics else 0,
        "shared": {"frames": frames},
        "profiles": [_sampled(profile, at, metric) for metric in metrics],
    }


def _sampled(profile: Profile, at: dict[Place, int], metric: str) -> dict[str, Any]:
    costing = [(node, getattr(node.cost, metric)) for node in profile.nodes if getattr(node.cost, metric) > 0]
    return {
        "type": "sampled",
        "name": f"{metric} of one op",
        "unit": METRICS[metric],
        "startValue": 0,
        "endValue": sum(weight for _, weight in costing),
        "samples": [[at[place] for place in profile.stack(node)] for node, _ in costing],
        "weights": [weight for _, weight in costing],
    }


def _plain(text: str) -> str:
    """Return text that can be written as UTF-8: a name of a file may hold half of a character."""
    return text.encode("utf-8", "replace").decode("utf-8")


def to_pstats(profile: Profile, by: str = "allocs") -> bytes:
    """Return a profile as a file for `pstats.Stats`, which shows functions.

    Its seconds are the allocs or the bytes of one op, or the seconds of a million ops.
    How often a function was called is not known: its calls are 0.
    """
    own: dict[Function, float] = {}
    inside: dict[Function, float] = {}
    calls: dict[tuple[Function, Function], list[float]] = {}
    for node in profile.nodes:
        value = float(getattr(node.cost, by)) * (1e6 if by == "time" else 1.0)
        stack = [_function(place) for place in profile.stack(node)]
        own[stack[-1]] = own.get(stack[-1], 0.0) + value
        for function in set(stack):
            inside[function] = inside.get(function, 0.0) + value
        pairs = list(pairwise(stack))
        for pair in set(pairs):
            sums = calls.setdefault(pair, [0.0, 0.0])
            sums[1] += value
        if pairs:
            calls[pairs[-1]][0] += value
    callers: dict[Function, dict[Function, tuple[int, int, float, float]]] = {}
    for (caller, callee), (itself, whole) in calls.items():
        callers.setdefault(callee, {})[caller] = (0, 0, itself, whole)
    stats = {one: (0, 0, own.get(one, 0.0), inside[one], callers.get(one, {})) for one in inside}
    return marshal.dumps(stats)


def _function(place: Place) -> Function:
    return (place.file, place.first, place.function) if place.file else ("~", 0, place.function)
