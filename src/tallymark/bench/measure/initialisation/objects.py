"""What is told of an object by looking at it: whether it may have state, what it holds, and what of this is new to it."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_EMPTY = CellType()
HOLDS = 16  # characters of text, from which on an object holds data


class Known:
    """What an object has been given: texts and objects."""

    def __init__(self, given: list[Any]) -> None:
        inside = [leaf for one in given for leaf in leaves(one)]
        self.text = "\0".join(one for one in inside if isinstance(one, str)).casefold()
        self.objects = {id(one) for one in given} | {id(one) for one in inside}
        self.numbers = any(isinstance(one, _NUMBERS) for one in inside) or any(map(str.isdigit, self.text))
        self.calls = any(isinstance(one, FunctionType) for one in inside)
        length = max(map(len, self.text.split("\0"))) if self.calls else len(self.text)  # names of what is called are no data
        self.holds = length >= HOLDS or any(_is_data(one) for one in given)

    def lacks(self, datum: Any, called: bool) -> bool:
        if datum is None or isinstance(datum, bool | ModuleType) or id(datum) in self.objects:
            return False
        if isinstance(datum, _NUMBERS):
            return called or (isinstance(datum, float) and not self.numbers)  # an integer may be an index
        if isinstance(datum, str | bytes | bytearray):
            return _text(datum).casefold() not in self.text
        if isinstance(datum, CONTAINERS):
            return any(isinstance(leaf, int | float) or self.lacks(leaf, called) for leaf in leaves(datum))
        return True


MADE_ONCE = {
    "argparse.ArgumentParser", "asyncio.events.AbstractEventLoop", "concurrent.futures._base.Executor",
    "configparser.RawConfigParser", "gettext.NullTranslations", "http.client.HTTPConnection", "json.decoder.JSONDecoder",
    "json.encoder.JSONEncoder", "logging.Filterer", "logging.Formatter", "mimetypes.MimeTypes", "multiprocessing.pool.Pool",
    "optparse.OptionParser", "sched.scheduler", "selectors.BaseSelector", "socketserver.BaseServer", "sqlite3.Connection",
    "ssl.SSLContext", "string.Formatter", "string.Template", "urllib.request.OpenerDirector", "zoneinfo.ZoneInfo",
}  # fmt: skip
"""Types of the standard library, and what derives from them, of which a program makes its objects once."""


def is_made_once(value: Any) -> bool:
    return any(f"{one.__module__}.{one.__qualname__}" in MADE_ONCE for one in type(value).__mro__)


_NUMBERS = (int, float, complex)
CONTAINERS = (list, tuple, dict, set, frozenset, deque)


def is_name(value: Any) -> bool:
    """Return True for what a part of an object may be called: `host`, `content-type`, `user.name`; not `session:1234`."""
    return isinstance(value, str) and len(value) < HOLDS and all(map(str.isidentifier, re.split("[-.:/]", value)))


def _is_data(value: Any) -> bool:
    if isinstance(value, CONTAINERS):
        return bool(value)
    return isinstance(value, io.IOBase) or (isinstance(value, bytes | bytearray) and len(value) >= HOLDS)


def _text(value: str | bytes | bytearray) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


def leaves(value: Any, depth: int = 0) -> Iterator[Any]:
    if isinstance(value, str | bytes | bytearray):
        yield _text(value)
    elif isinstance(value, io.BytesIO | io.StringIO) and not value.closed:
        yield _text(value.getvalue())
    elif isinstance(value, dict) and depth < 6:
        for key, one in value.items():
            yield from leaves(key, depth + 1)
            yield from leaves(one, depth + 1)
    elif isinstance(value, CONTAINERS) and depth < 6:
        for one in value:
            yield from leaves(one, depth + 1)
    else:
        yield value


def is_stateful(value: Any) -> bool:
    if isinstance(value, type | CodeType | FunctionType | re.Pattern) or is_made_once(value):
        return True
    kind = type(value)
    if kind.__module__ == "builtins" or isinstance(value, (ModuleType, BaseException, io.IOBase, str, bytes, int, *CONTAINERS)):
        return False
    return not hasattr(kind, "__next__") and not _is_value(kind)


def is_service(value: Any) -> bool:
    """Return True for an object of a class that is no value: not for a class, a function or a pattern."""
    return is_stateful(value) and not isinstance(value, type | CodeType | FunctionType | re.Pattern)


def _is_value(kind: type) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    if dataclasses.is_dataclass(kind) and parameters is not None and not parameters.frozen:
        return False
    return getattr(kind, "__eq__", None) is not object.__eq__


def cells(value: Any) -> list[Any]:
    """Return what a function knows of the functions around it."""
    closure = value.__closure__ if isinstance(value, FunctionType) else None
    return [cell.cell_contents for cell in closure or () if cell != _EMPTY]


def size(values: Iterable[Any]) -> int:
    """Return how much objects hold: the lengths of all containers in them, as far as attributes and items lead.

    What is bounded, as the last entries of a log are, does not grow: it counts as full.
    """
    seen, todo, total = set[int](), deque((one, 0) for one in values), 0
    while todo and len(seen) < 2000:
        one, depth = todo.popleft()  # the nearest first
        if id(one) in seen or depth > 6 or isinstance(one, type | ModuleType):
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType):
            todo += [(inside, depth + 1) for inside in cells(one)]
        elif isinstance(one, MethodType):
            todo.append((one.__self__, depth + 1))
        if isinstance(one, io.IOBase) and depth <= 1:  # what an object writes to; what others write to is not a part of it
            with contextlib.suppress(OSError, ValueError):
                total += one.tell()
        if isinstance(one, CONTAINERS):
            total += one.maxlen if isinstance(one, deque) and one.maxlen is not None else len(one)
            todo += [(item, depth + 1) for item in list(one.values() if isinstance(one, dict) else one)]
        elif isinstance(fields := getattr(one, "__dict__", None), dict):
            todo += [(item, depth + 1) for item in list(fields.values())]
    return total


def reaches(value: Any, sought: Any) -> bool:
    """Return True if an object holds another, itself or by what it is made of, such as a writer by a method of its file."""
    seen, todo = set[int](), [value]
    for _ in range(4):
        if any(one is sought for one in todo):
            return True
        seen |= {id(one) for one in todo}
        inside = gc.get_referents(*(one for one in todo if not isinstance(one, type | ModuleType | FunctionType)))
        todo = [one for one in inside if id(one) not in seen]
    return any(one is sought for one in todo)
