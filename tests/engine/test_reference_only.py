"""The reference engine's own promise: code under the comment `Atomic` has no instruction at which CPython may run other code.

CPython runs other threads, signal handlers and (from 3.12) the garbage collector at function entry, at backward jumps and after
calls. This inspects the engine's code, and so runs for this engine alone.
"""

from __future__ import annotations

import dis
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest

import tallymark.engine.reference as reference

HAND_OVER = ("CALL", "PRECALL", "JUMP_BACKWARD", "FOR_ITER", "SEND", "YIELD", "RESUME", "IMPORT", "GET_AWAITABLE", "GET_ITER")
FORWARD_ONLY = ("JUMP_BACKWARD_NO_INTERRUPT",)


def functions() -> Iterator[FunctionType]:
    """Yield each function of the reference engine."""
    for found in pkgutil.iter_modules(reference.__path__):
        module = importlib.import_module(f"{reference.__name__}.{found.name}")
        owners = [module, *[one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]]
        for owner in owners:
            for member in list(vars(owner).values()):
                function = getattr(member, "__func__", member)
                if inspect.isfunction(function) and function.__module__ == module.__name__:
                    yield function


def atomic_lines(function: Callable[..., Any]) -> list[range]:
    """Return, for each comment `Atomic` in a function, the lines of the statement below it: a test, and what it guards."""
    lines, first = inspect.getsourcelines(function)
    stretches = []
    for at, line in enumerate(lines):
        if line.strip().startswith("# Atomic"):
            start = at + 1
            while lines[start].strip().startswith("#"):
                start += 1
            depth = len(line) - len(line.lstrip())
            end = start + 1
            while end < len(lines) and (
                len(lines[end]) - len(lines[end].lstrip()) > depth or lines[end].strip().startswith("el")
            ):
                end += 1
            stretches.append(range(first + start, first + end))
    return stretches


def hand_overs(function: Callable[..., Any]) -> list[str]:
    """Return the instructions in the atomic stretches of a function that can hand over."""
    stretches = atomic_lines(function)
    found = []
    for instruction in dis.get_instructions(function):
        line = instruction.positions.lineno if instruction.positions else None
        inside = line is not None and any(line in stretch for stretch in stretches)
        if inside and instruction.opname.startswith(HAND_OVER) and instruction.opname not in FORWARD_ONLY:
            found.append(f"{instruction.opname} in line {line}")
    return found


ATOMIC = [function for function in functions() if atomic_lines(function)]


def test_the_updates_of_all_cells_are_headed_atomic() -> None:
    names = {function.__qualname__ for function in ATOMIC}
    assert {"Counter.inc", "Scalar._add", "Scalar._store", "Distribution._observe", "Distribution._replace"} <= names
    assert {"LockedScalar._add", "LockedScalar._store", "LockedDistribution._observe", "LockedDistribution._replace"} <= names


@pytest.mark.parametrize("function", ATOMIC, ids=lambda function: function.__qualname__)
def test_an_atomic_stretch_cannot_hand_over(function: FunctionType) -> None:
    assert atomic_lines(function)
    assert hand_overs(function) == []


@pytest.mark.parametrize("function", ATOMIC, ids=lambda function: function.__qualname__)
def test_an_atomic_stretch_is_more_than_a_comment(function: FunctionType) -> None:
    lines = {one.positions.lineno for one in dis.get_instructions(function) if one.positions}
    for stretch in atomic_lines(function):
        assert len(lines & set(stretch)) >= 2


class Bad:
    """Updates that can be interrupted, each in another way."""

    _live = True
    _value = 0.0

    def calls(self, amount: float) -> None:
        # Atomic, it claims.
        if self._live:
            self._value = max(self._value, amount)
            return

    def loops(self, amount: float) -> None:
        # Atomic, it claims.
        if self._live:
            for _ in (1, 2):
                self._value += amount
            return

    def waits(self, amount: float) -> Any:
        # Atomic, it claims,
        # in two lines.
        if self._live:
            yield self._value
            return

    def asks(self, amount: float) -> None:
        # Atomic, it claims.
        if self._live and bool(amount):
            self._value += amount
            return


@pytest.mark.parametrize("bad", [Bad.calls, Bad.loops, Bad.waits, Bad.asks], ids=lambda bad: bad.__name__)
def test_a_stretch_that_can_hand_over_is_found(bad: Callable[..., Any]) -> None:
    assert hand_overs(bad) != []
