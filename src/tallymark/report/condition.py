"""`Condition`: whether a backend takes its reports. A change is logged, once."""

from __future__ import annotations

import logging  # noqa: F401  # before there is a thread: in a forked child, an import that a thread began never ends
import re
from typing import TYPE_CHECKING

from tallymark.log import logger
from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from tallymark.report.backend import Backend

__all__ = ["Condition"]

_LONGEST = 500


class Condition:
    """Whether a backend is up, as its reporter sees it.

    Attributes:
        trouble: why it is not; empty: it is, or nobody knows yet.
    """

    def __init__(self, backend: Backend) -> None:
        self.trouble = ""
        self._backend = backend
        self._overflowed = False

    def failed(self, words: str, error: BaseException | None = None) -> None:
        """Something failed. Log it, with the traceback of `error`, if all was well before.

        Args:
            words: why, in one line.
            error: a programming error; None for trouble that is to be expected.
        """
        before, self.trouble = self.trouble, self._without_address(printable(words))[:_LONGEST]
        if not before:
            end = "" if self.trouble.endswith(("?", ".", "!")) else "."
            logger().warning(
                "%s: reports do not arrive: %s%s This is logged again when they do", self._name, self.trouble, end,
                exc_info=error,
            )  # fmt: skip

    def overflows(self) -> None:
        """What waits was dropped, as there is no more room. Log it, once until a report arrives."""
        if not self._overflowed:
            self._overflowed = True
            logger().warning("%s: too much waits to be sent; from now on the oldest reports are dropped", self._name)

    def works(self) -> None:
        """Something arrived. Log it if it is after trouble."""
        self._overflowed = False
        if self.trouble:
            self.trouble = ""
            logger().warning("%s: reports arrive again", self._name)  # as who heard of the trouble was promised

    def _without_address(self, words: str) -> str:
        """Return words without the address, or its beginning: they come after it."""
        address = printable(self._backend.address)
        found = next((word for word in words.split(" ") if re.search("[:/]", word) and address.startswith(word)), None)
        return words if found is None else words.replace(found, "it", 1)

    @property
    def _name(self) -> str:
        return f"{self._backend.kind} {printable(self._backend.address)}"
