"""`Controls`: the order of the rows, and which are shown; changed by keys."""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING

from tallymark.frozen import Frozen, replace

if TYPE_CHECKING:
    from tallymark.top.traffic import Traffic

__all__ = ["SORTS", "Controls", "press"]

SORTS = ("rate", "errors", "p99", "name")
_SEQUENCE = re.compile(r"\x1b[\[O][0-9;?]*[ -/]*[@-~]")
"""What arrow keys and the like send."""
_ENTER, _ESCAPE, _BACKSPACE, _CLEAR = "\r\n", "\x1b", "\x7f\b", "\x15"


class Controls(Frozen):
    """What a user asked for.

    Attributes:
        sort: one of `SORTS`.
        filter: rows are shown that have this text, in upper or lower case.
        is_typing: the filter is being typed.
        is_done: it is time to end.
    """

    __slots__ = ("filter", "is_done", "is_typing", "sort")

    sort: str
    filter: str
    is_typing: bool
    is_done: bool

    def admits(self, text: str) -> bool:
        """Return True for the text of a row that is shown."""
        return self.filter.casefold() in text.casefold()

    def order(self, row: Traffic) -> tuple[object, ...]:
        """Return what rows are sorted by."""
        name = row.what, row.name
        match self.sort:
            case "errors":
                return -row.errors, -row.count, *name
            case "p99":
                slowest = row.quantiles[-1]
                return isnan(slowest), -slowest, *name
            case "name":
                return name
        return -row.count, *name


def press(controls: Controls, keys: str) -> Controls:
    """Return the controls after keys were pressed, which a terminal sent as this text."""
    for key in _SEQUENCE.sub("", keys):
        controls = _typed(controls, key) if controls.is_typing else _pressed(controls, key)
    return controls


def _pressed(controls: Controls, key: str) -> Controls:
    match key:
        case "q" | "Q" | "\x03" | "\x04":
            return replace(controls, is_done=True)
        case "s":
            return replace(controls, sort=SORTS[(SORTS.index(controls.sort) + 1) % len(SORTS)])
        case "/":
            return replace(controls, is_typing=True)
        case "\x1b":
            return replace(controls, filter="")
    return controls


def _typed(controls: Controls, key: str) -> Controls:
    if key in _ENTER:
        return replace(controls, is_typing=False)
    if key == _ESCAPE:
        return replace(controls, is_typing=False, filter="")
    if key in _BACKSPACE:
        return replace(controls, filter=controls.filter[:-1])
    if key == _CLEAR:
        return replace(controls, filter="")
    return replace(controls, filter=controls.filter + key) if key.isprintable() else controls
