"""What the answer of an HTTP backend means: all is well, try again later, send less, or never."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tallymark.metric.shared.printable import printable
from tallymark.report.errors import SendError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tallymark.client.address import Address
    from tallymark.client.http import Answer

__all__ = ["check_answer", "retry_after"]

_LATER = (408, 425, 429)
_LONGEST_WAIT = 3600.0


def check_answer(address: Address, answer: Answer) -> None:
    """Return if the backend took what it was sent.

    Raises:
        TooLargeError: it was too much at once (413).
        SendError: it was not taken; with `again`, if it is worth another try (408, 425, 429, 500 and above).
    """
    status = answer.status
    if 200 <= status < 300:
        return
    words = printable(answer.body[:300].decode("utf-8", "replace").strip(" \t\r\n."))
    message = f"{address.url} answers {status}{': ' if words else ''}{words}{_remedy(answer)}"
    if status == 413:
        raise TooLargeError(message)
    raise SendError(message, again=status in _LATER or status >= 500, after=retry_after(answer.headers.get("Retry-After", "")))


def retry_after(field: str, now: Callable[[], float] = time.time) -> float:
    """Return the seconds that a field `Retry-After` asks for, an hour at most; 0 for what is not valid (RFC 9110, 10.2.3)."""
    field = field.strip()
    if field.isascii() and field.isdigit():
        return min(float(field[:9]), _LONGEST_WAIT)
    try:
        return min(max(parsedate_to_datetime(field).timestamp() - now(), 0.0), _LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _remedy(answer: Answer) -> str:
    match answer.status:
        case 301 | 302 | 303 | 307 | 308:
            location = printable(answer.headers.get("Location", "")[:200])
            return f". It redirects to {location or 'nowhere'}; give the URL that it should be sent to"
        case 401 | 403:
            return ". Are the credentials right?"
        case 404 | 405:
            return ". Is this its URL?"
    after = retry_after(answer.headers.get("Retry-After", ""))
    return f". It asks for {after:.0f} s" if after >= 1 else ""
