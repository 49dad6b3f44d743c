"""What goes wrong in sending a report: what backends raise, and what their users see."""

from __future__ import annotations

__all__ = ["ReportError", "SendError", "TooLargeError"]


class ReportError(OSError):
    """A report did not arrive. The message has the backend's own words."""


class SendError(Exception):
    """A request did not arrive.

    Args:
        message: one line: who, what is wrong, what to do. It may have words of the backend, which were made printable.
        again: True if the same request may succeed later; False if it never will.
        after: seconds that the backend asks for before the next try; 0 if it asks for none.
    """

    def __init__(self, message: str, *, again: bool = True, after: float = 0.0) -> None:
        super().__init__(message)
        self.again = again
        self.after = after


class TooLargeError(SendError):
    """A request is larger than the backend takes. Its parts may arrive in smaller ones."""

    def __init__(self, message: str) -> None:
        super().__init__(message, again=False)
