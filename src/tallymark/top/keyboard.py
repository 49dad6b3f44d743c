"""`Keyboard`: keys as they are pressed, without an Enter, from a terminal that is put back as it was."""

from __future__ import annotations

import codecs
import os
import select
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Keyboard"]


class Keyboard:
    """The keys of standard input, within a `with` block. If that is no terminal, no key is ever pressed."""

    def __init__(self) -> None:
        self._fd = -1
        self._former: list[Any] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def __enter__(self) -> Self:
        if sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty():
            import termios

            self._fd = sys.stdin.fileno()
            self._former = termios.tcgetattr(self._fd)
            attributes = termios.tcgetattr(self._fd)
            attributes[3] &= ~(termios.ICANON | termios.ECHO)
            # Ctrl-Z would leave the shell on our screen.
            attributes[6][termios.VSUSP] = os.fpathconf(self._fd, "PC_VDISABLE").to_bytes(1, "little")
            termios.tcsetattr(self._fd, termios.TCSADRAIN, attributes)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._former:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._former)

    def wait(self, seconds: float, others: Sequence[int] = ()) -> str | None:
        """Wait for keys, for `others` to be readable, or for the time to pass.

        Returns:
            What was pressed, which may be nothing; None if the terminal is gone.
        """
        watched = [*others] if self._fd < 0 else [*others, self._fd]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._fd not in ready:
            return ""
        try:
            pressed = os.read(self._fd, 1024)
        except OSError:
            return None
        return self._decoder.decode(pressed) if pressed else None
