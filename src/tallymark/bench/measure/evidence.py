"""What is known of an op: what each of its steps costs, what it makes, and what it gives to what it made."""

from __future__ import annotations

import ast
import dataclasses
import io
import re
from collections import ChainMap, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tallymark.bench.measure.rewrite import Step
from tallymark.bench.measure.steps import Use

KINDS = ("lines", "allocations", "microseconds")
HOLDS = 16  # characters of text, from which on an object holds data


@dataclass
class Repeat:
    """What steps cost when they run first, and when they are repeated: the least of some readings."""

    costs: dict[str, dict[int, tuple[float, float]]] = field(default_factory=dict)
    same: bool = True  # the repeat left results of the same types and lengths
    unchanged: set[str] = field(default_factory=set)  # names that refer to the same object after each repeat
    grows: bool = False  # what the op made is larger after each repeat

    def add(self, kind: str, read: Mapping[int, Sequence[float]]) -> None:
        known = self.costs.setdefault(kind, {})
        for step, spent in read.items():
            first, again = known.get(step, (spent[0], spent[-1]))
            known[step] = min(first, spent[0]), min(again, spent[-1])


@dataclass
class Evidence:
    """All that is known of an op."""

    steps: list[Step]
    fresh: set[str] = field(default_factory=set)  # names of objects that each op makes, and that may have state
    classes: set[str] = field(default_factory=set)  # those of them whose class is made by each op, or that are classes
    values: dict[str, Any] = field(default_factory=dict)  # the benchmark's local names, and its global ones
    scope: Mapping[str, Any] = field(default_factory=dict)
    whole: dict[str, dict[int, float]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    repeats: dict[tuple[int, int], Repeat] = field(default_factory=dict)

    def total(self, kind: str) -> float:
        return sum(self.whole[kind].values())

    def made_for(self, index: int) -> list[int]:
        """Return the steps that made what a step works on."""
        used = self.receivers(index)
        return [one for one in range(index) if self.steps[one].piece.stores & used]

    def receivers(self, index: int) -> set[str]:
        return {use.name for use in self.steps[index].piece.uses} & self.fresh

    def behind(self, names: set[str], index: int) -> list[int]:
        """Return the steps before one that made objects or set them up, and what these are made of in turn."""
        needed, found = set(names), list[int]()
        for one in reversed(range(index)):
            piece = self.steps[one].piece
            if piece.stores & needed or (self._sets_up(one, needed)):
                found.append(one)
                needed |= (piece.loads | piece.stores) & self._assigned
        return found[::-1]

    def _sets_up(self, index: int, names: set[str]) -> bool:
        """Return True if a step changes objects, or gives them to others, and leaves nothing else."""
        piece = self.steps[index].piece
        defines = isinstance(piece.node, ast.FunctionDef | ast.ClassDef)
        kept = {name for name in piece.stores if not name.startswith("_tm_") or name.startswith("_tm_in")}
        return bool(piece.loads & names and piece.uses) and (defines or not kept)

    @property
    def _assigned(self) -> set[str]:
        return {name for step in self.steps for name in step.piece.stores}

    def data(self, use: Use) -> Iterator[Any]:
        yield from use.constants
        known = ChainMap(self.values, self.scope)  # type: ignore[arg-type]
        yield from (known[name] for name in use.names if name in known)

    def given(self, names: set[str], index: int) -> list[Any]:
        """Return what objects have been given before a step."""
        behind = self.behind(names, index)
        gave = [one for one in range(index) if self.receivers(one) & names]  # what an object gave is not new to it
        made = [self.values.get(name) for step in {*behind, *gave} for name in self.steps[step].piece.stores]
        return made + [one for step in behind for use in self.steps[step].piece.uses for one in self.data(use)]

    def brings(self, index: int) -> bool:
        """Return True if a step gives an object that the op made what this does not have yet."""
        for use in self.steps[index].piece.uses:
            if use.name in self.fresh:
                known = Known(self.given({use.name}, index))
                new = [one for one in self.data(use) if known.lacks(one, use.called)]
                looks_up = known.holds and all(map(_is_key, new)) and (use.asks or self._looks_up(index))
                if new and not looks_up:
                    return True
        return False

    def _looks_up(self, index: int) -> bool:
        """Return True if a step only gives a part of what an object has: the same text or container each time."""
        stores = self.steps[index].piece.stores
        found = [one for window, one in self.repeats.items() if window[0] <= index <= window[1]]
        same = bool(stores) and any(stores <= one.unchanged for one in found)
        return same and all(isinstance(self.values.get(name), (str, bytes, *_CONTAINERS)) for name in stores)


class Known:
    """What an object has been given: texts and objects."""

    def __init__(self, given: list[Any]) -> None:
        leaves = [leaf for one in given for leaf in _leaves(one)]
        self.text = "\0".join(one for one in leaves if isinstance(one, str)).casefold()
        self.objects = {id(one) for one in given} | {id(one) for one in leaves}
        self.holds = len(self.text) >= HOLDS or any(_is_data(one) for one in given)

    def lacks(self, datum: Any, called: bool) -> bool:
        if datum is None or isinstance(datum, bool | ModuleType) or id(datum) in self.objects:
            return False
        if isinstance(datum, int | float | complex):
            return called
        if isinstance(datum, str | bytes | bytearray):
            return _text(datum).casefold() not in self.text
        if isinstance(datum, _CONTAINERS):
            return any(isinstance(leaf, int | float) or self.lacks(leaf, called) for leaf in _leaves(datum))
        return True


_PLAIN = (str, bytes, bytearray, int, float, complex)
_CONTAINERS = (list, tuple, dict, set, frozenset, deque)


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and len(value) < HOLDS


def _is_data(value: Any) -> bool:
    if isinstance(value, _CONTAINERS):
        return bool(value)
    return isinstance(value, io.IOBase) or (isinstance(value, bytes | bytearray) and len(value) >= HOLDS)


def _text(value: str | bytes | bytearray) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


def _leaves(value: Any, depth: int = 0) -> Iterator[Any]:
    if isinstance(value, str | bytes | bytearray):
        yield _text(value)
    elif isinstance(value, io.BytesIO | io.StringIO) and not value.closed:
        yield _text(value.getvalue())
    elif isinstance(value, dict) and depth < 6:
        for key, one in value.items():
            yield from _leaves(key, depth + 1)
            yield from _leaves(one, depth + 1)
    elif isinstance(value, _CONTAINERS) and depth < 6:
        for one in value:
            yield from _leaves(one, depth + 1)
    else:
        yield value


def stateful(evidence: Evidence, before: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of what an op makes anew, and what may be set up on first use, or once: neither data nor iterators."""
    after = evidence.values
    for step in evidence.steps:
        for name in step.piece.stores:
            if name not in after or after[name] is before.get(name) or _is_asked_for(evidence, step, before):
                continue
            if _has_own_class(after[name], before.get(name)):
                evidence.classes.add(name)
                yield name
            elif _is_stateful(after[name], _is_plain_function(step)):
                yield name


def _has_own_class(value: Any, before: Any) -> bool:
    kind, earlier = type(value), type(before)
    return isinstance(value, type) or (kind is not earlier and kind.__qualname__ == earlier.__qualname__)


def _is_asked_for(evidence: Evidence, step: Step, before: Mapping[str, Any]) -> bool:
    """Return True if an object that was set up above the loop gave what a step assigns: a future, a cursor, a response."""
    node = step.piece.node
    call = node.value if isinstance(node, ast.Assign) else None
    target = call.func if isinstance(call, ast.Call) else None
    if not isinstance(target, ast.Attribute):
        return False
    while isinstance(target, ast.Attribute):
        target = target.value
    if not isinstance(target, ast.Name):
        return False
    giver = evidence.values.get(target.id, evidence.scope.get(target.id))
    kept = target.id not in before or before[target.id] is giver
    return kept and giver is not None and not isinstance(giver, ModuleType | type | FunctionType)


def _is_plain_function(step: Step) -> bool:
    return isinstance(step.piece.node, ast.FunctionDef) and not step.piece.node.decorator_list


def _is_stateful(value: Any, plain: bool) -> bool:
    if isinstance(value, type | CodeType | re.Pattern):
        return True
    if isinstance(value, FunctionType):
        return not plain
    kind = type(value)
    if kind.__module__ == "builtins" or isinstance(
        value, (ModuleType, BaseException, io.IOBase, str, bytes, int, *_CONTAINERS)
    ):
        return False
    return not hasattr(kind, "__next__") and not _is_value(kind)


def _is_value(kind: type) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    if dataclasses.is_dataclass(kind) and parameters is not None and not parameters.frozen:
        return False
    return getattr(kind, "__eq__", None) is not object.__eq__


def size(value: Any) -> int:
    """Return how much an object holds: the lengths of all containers in it, as far as attributes and items lead."""
    seen, todo, total = set[int](), [(value, 0)], 0
    while todo and len(seen) < 2000:
        one, depth = todo.pop()
        if id(one) in seen or depth > 6 or isinstance(one, type | ModuleType | FunctionType):
            continue
        seen.add(id(one))
        if isinstance(one, _CONTAINERS):
            total += len(one)
            todo += [(item, depth + 1) for item in list(one.values() if isinstance(one, dict) else one)]
        elif isinstance(fields := getattr(one, "__dict__", None), dict):
            todo += [(item, depth + 1) for item in list(fields.values())]
    return total
