"""What makes a gate's answer worthless: nothing was compared, or figures that must not stand against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tallymark.bench.compare.comparison import Comparison

Environment = Mapping[str, Any]

#: Counts of another machine are the same, if the interpreter is the same. All other figures are the machine's own.
PORTABLE = ("allocs", "reallocs", "bytes", "objects")
_NEEDS = {"allocs": "allocations", "reallocs": "allocations", "bytes": "allocations", "objects": "objects"}


def missing(comparison: Comparison) -> list[str]:
    """Return a line for all that a comparison lacks: benchmarks that are gone, that one side alone measured, or every one."""
    lines = list(_missing(comparison))
    if not (comparison.old.benchmarks or comparison.new.benchmarks):
        lines.append("nothing was measured")
    elif not lines and not any(one.measured for one in comparison.benchmarks):
        lines.append("nothing was compared: no benchmark was measured on both sides")
    return lines


def _missing(comparison: Comparison) -> Iterator[str]:
    for run, which in ((comparison.old, "old"), (comparison.new, "new")):
        if not run.complete:
            yield f"the {which} run was interrupted: it lacks some results"
    for name in comparison.only_old:
        old = comparison.old[name]
        failed = f"failed on the old side, so that nothing was compared: {old.reason}"
        yield f"{name}: {failed if old.status == 'failed' else 'gone: only the old side has it'}"
    yield from (
        f"{one.name}: failed on the new side: {one.reason}" for one in comparison.new.benchmarks if one.status == "failed"
    )
    for one in comparison.benchmarks:
        if one.new.status not in (one.old.status, "failed"):
            which, result = ("old", one.old) if one.old.status != "ok" else ("new", one.new)
            reason = f": {result.reason}" if result.reason else ""
            yield f"{one.name}: {result.status} on the {which} side, so that nothing was compared{reason}"


def incomparable(kind: str, old: Environment, new: Environment) -> str:
    """Return why figures of a kind must not stand against each other; empty if they may."""
    for label, key in (("Pythons", "python"), ("implementations", "implementation")):
        if (values := _differing(key, old, new)) is not None:
            return f"the sides have two {label}, {values}"
    if kind in PORTABLE:
        for label, key in (("allocators", "allocator"), ("settings of the global interpreter lock", "gil")):
            if (values := _differing(key, old, new)) is not None:
                return f"the sides have two {label}, {values}"
        return ""
    return "" if same_machine(old, new) else f"the sides are of two machines{_named(old, new)}: run both on one"


def same_machine(old: Environment, new: Environment) -> bool:
    """Return False if two environments are known to be of two machines.

    A machine keeps its identity over restarts, and all of its containers share one start of its kernel. One of both is enough.
    """
    if _differing("cpu", old, new) or _differing("machine", old, new):
        return False
    known = [key for key in ("host", "boot") if old.get(key) and new.get(key)]
    return not known or any(old[key] == new[key] for key in known)


def unmeasurable(kind: str, environment: Environment) -> str:
    """Return why a kind cannot be measured in an environment; empty if it can, or if that is not known."""
    state = environment.get(_NEEDS.get(kind, ""), "counted")
    return "" if state == "counted" else str(state)


def _differing(key: str, old: Environment, new: Environment) -> str | None:
    if key not in old or key not in new or old[key] == new[key]:
        return None
    return f"{old[key]} and {new[key]}"


def _named(old: Environment, new: Environment) -> str:
    values = _differing("cpu", old, new)
    return f", {values}" if values and len(values) <= 100 else ""
