"""What a family is made from: plain data that both engines read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallymark.errors import TagError

if TYPE_CHECKING:
    from tallymark.engine.reference import Family, TagSet

__all__ = ["FamilyHooks", "FamilyOptions", "TagLimits", "check_key"]

_KEY = re.compile(r"[^\W\d][\w./:-]*")


def check_key(key: str) -> None:
    """Raise `TagError` unless `key` can be a tag key.

    A key starts with a letter or `_`, and goes on with letters, digits and `_ . - / :` (letters of any script).
    """
    if not _KEY.fullmatch(key):
        raise TagError(
            f"tag key {key!r} is not valid: a key starts with a letter or '_',"
            " and goes on with letters, digits and any of '_.-/:'"
        )


@dataclass(frozen=True, slots=True)
class TagLimits:
    """How many tags and series a family takes, and how long their texts may be.

    Keys are written in code, values come from data. So what breaks a rule on keys (`max_tags`, `max_key_length`,
    `disallowed_keys`) raises `TagError`; what breaks a rule on data is counted in `tallymark_rejected` and mended: a
    value longer than `max_value_length` characters is cut and ends in `…`, and a record beyond `max_series` goes to the
    family's overflow series, tagged `overflow="true"`. The untagged root and the overflow series are not counted.
    """

    max_tags: int = 10
    max_key_length: int = 100
    max_value_length: int = 200
    max_series: int = 1000
    disallowed_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_tags", "max_key_length", "max_value_length", "max_series"):
            limit = getattr(self, name)
            if not isinstance(limit, int) or isinstance(limit, bool):
                raise TypeError(f"TagLimits.{name} must be an int, not {type(limit).__name__}")
            if limit < 1:
                raise ValueError(f"TagLimits.{name} must be at least 1, not {limit}")
        if isinstance(self.disallowed_keys, str):
            raise TypeError("TagLimits.disallowed_keys must be a collection of keys, not one str")
        object.__setattr__(self, "disallowed_keys", tuple(self.disallowed_keys))

    def cut(self, value: str) -> str:
        """Return a tag value that is within the limit."""
        return value if len(value) <= self.max_value_length else value[: self.max_value_length - 1] + "…"

    def truncated(self, metric: str, tags: Mapping[str, str]) -> dict[str, str]:
        """Return tags with their values cut. Raises `TagError` for a key that a series of `metric` may not have."""
        self.check_keys(metric, list(tags))
        return {key: self.cut(value) for key, value in tags.items()}

    def check_keys(self, metric: str, keys: list[str]) -> None:
        """Raise `TagError` for the first of `keys` that a series of `metric` may not have."""
        if len(keys) > self.max_tags:
            raise TagError(
                f"metric {metric!r}: {len(keys)} tags ({', '.join(keys)}), but TagLimits.max_tags is {self.max_tags}"
            )
        for key in keys:
            if len(key) > self.max_key_length:
                raise TagError(
                    f"metric {metric!r}: tag key {key[:40]!r}… has {len(key)} characters,"
                    f" but TagLimits.max_key_length is {self.max_key_length}"
                )
            if key in self.disallowed_keys:
                raise TagError(f"metric {metric!r}: tag key {key!r} is in TagLimits.disallowed_keys")
            check_key(key)


@dataclass(frozen=True, slots=True)
class FamilyOptions:
    """The shape of a family, and the rules that it keeps. `bounds` is empty unless the kind has buckets.

    `aggregate` says how the processes that share a gauge combine; it is empty where nobody asked.
    """

    name: str
    kind: str
    unit: str
    bounds: tuple[float, ...]
    ttl: float | None
    limits: TagLimits
    tags: TagSet
    aggregate: str = ""


@dataclass(frozen=True, slots=True)
class FamilyHooks:
    """What a family asks of the registry that owns it. Only slow paths call these.

    Attributes:
        reject: called with a metric, a reason and a function that says more; counts and logs a record that was refused or
            redirected, and raises where the registry is strict.
        readmit: puts an unregistered family back, and says whether its name was still free.
        now: seconds since the epoch, for creation times.
        uptime: seconds on a clock that never steps, for `ttl`.
    """

    reject: Callable[[str, str, Callable[[], str]], None]
    readmit: Callable[[Family], bool]
    now: Callable[[], float]
    uptime: Callable[[], float]
