"""Values of settings, as people write them in environment variables and URLs."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tallymark.configuration.errors import ConfigurationError
from tallymark.engine import TagSet

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["as_flag", "as_list", "as_pairs", "as_seconds", "as_secret", "as_whole", "near"]

_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_MOST_SECRET = 65536
"""Characters of a file that holds a secret."""


def as_flag(text: str) -> bool:
    """Return a yes or no.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise ConfigurationError("takes true or false") from None


def as_list(text: str) -> tuple[str, ...]:
    """Return texts between commas."""
    return tuple([one.strip() for one in text.split(",") if one.strip()])


def as_pairs(text: str) -> dict[str, str]:
    """Return `key=value` between commas.

    Raises:
        ConfigurationError: there is no `=`, or no tag can have such a key.
    """
    pairs = [one.partition("=") for one in as_list(text)]
    if not all(found and key.strip() for key, found, _ in pairs):
        raise ConfigurationError("takes KEY=VALUE,KEY=VALUE")
    found = {key.strip(): value.strip() for key, _, value in pairs}
    try:
        return dict(TagSet(found))
    except ValueError as error:
        raise ConfigurationError(f"takes KEY=VALUE,KEY=VALUE: {error}") from None


def as_seconds(text: str) -> float:
    """Return a positive number of seconds.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds < 1e9:
        raise ConfigurationError("takes a number of seconds, 0.01 or more")
    return seconds


def as_whole(text: str) -> int:
    """Return a whole number above 0.

    Raises:
        ConfigurationError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise ConfigurationError("takes a whole number above 0")
    return int(text)


def as_secret(text: str) -> str:
    """Return a secret. `@FILE` stands for what is in that file.

    Raises:
        ConfigurationError: the file cannot be read, or is no text.
    """
    if not text.startswith("@"):
        return text
    try:
        with open(text[1:], encoding="utf-8") as file:
            return file.read(_MOST_SECRET).strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"names a file that cannot be read: {reason}") from None


def near(name: str, known: Iterable[str]) -> str:
    """Return a question whether one was meant that is like it, in brackets; empty if there is none."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""
