"""What a family is made from: plain data that both engines read."""

from __future__ import annotations

from tallymark.engine.kinds import WITH_BUCKETS
from tallymark.errors import TagError
from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from tallymark.engine.reference import Family, Instrument, TagSet

    ExemplarSource: TypeAlias = Callable[[], Mapping[str, object] | None]

__all__ = ["FamilyHooks", "FamilyOptions", "TagLimits", "check_key"]

_set = object.__setattr__

_PUNCTUATION = dict.fromkeys(map(ord, "_.-/:"))


def check_key(key: str) -> None:
    """Raise `TagError` unless `key` can be a tag key.

    A key starts with a letter or `_`, and goes on with letters, digits and `_ . - / :` (letters of any script).
    """
    first, rest = key[:1], key.translate(_PUNCTUATION)
    if not (first == "_" or first.isalnum()) or first.isdecimal() or not (rest == "" or rest.isalnum()):
        raise TagError(
            f"tag key {key!r} is not valid: a key starts with a letter or '_',"
            " and goes on with letters, digits and any of '_.-/:'"
        )


class TagLimits(Frozen):
    """How many tags and series a metric takes, and how long their texts may be.

    Keys are written in code, values come from data. So a key that breaks a rule (`max_tags`, `max_key_length`,
    `disallowed_keys`) raises `TagError`. Data that breaks a rule is counted in `tallymark_rejected` and redirected: a value
    longer than `max_value_length` characters is truncated and ends in `…`, and a record beyond `max_series` goes to the
    metric's overflow series, tagged `overflow="true"`. The untagged root and the overflow series do not count.

    Raises:
        TypeError: a limit is not an `int`, or `disallowed_keys` is one `str`.
        ValueError: a limit is below 1.
    """

    __slots__ = ("disallowed_keys", "max_key_length", "max_series", "max_tags", "max_value_length")

    max_tags: int
    max_key_length: int
    max_value_length: int
    max_series: int
    disallowed_keys: tuple[str, ...]

    def __init__(
        self,
        max_tags: int = 10,
        max_key_length: int = 100,
        max_value_length: int = 200,
        max_series: int = 1000,
        disallowed_keys: Iterable[str] = (),
    ) -> None:
        limits = {
            "max_tags": max_tags,
            "max_key_length": max_key_length,
            "max_value_length": max_value_length,
            "max_series": max_series,
        }
        for name, limit in limits.items():
            if not isinstance(limit, int) or isinstance(limit, bool):
                raise TypeError(f"TagLimits.{name} must be an int, not {type(limit).__name__}")
            if limit < 1:
                raise ValueError(f"TagLimits.{name} must be at least 1, not {limit}")
            _set(self, name, limit)
        if isinstance(disallowed_keys, str):
            raise TypeError("TagLimits.disallowed_keys must be a collection of keys, not one str")
        _set(self, "disallowed_keys", tuple(disallowed_keys))

    def truncate(self, value: str) -> str:
        """Return a tag value, truncated if it exceeds the limit."""
        return value if len(value) <= self.max_value_length else value[: self.max_value_length - 1] + "…"

    def truncated(self, metric: str, tags: Mapping[str, str]) -> dict[str, str]:
        """Return tags with their values truncated. Raises `TagError` for a key that a series of `metric` may not have."""
        self.check_keys(metric, list(tags))
        return {key: self.truncate(value) for key, value in tags.items()}

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


class FamilyOptions(Frozen):
    """The shape of a family, and the rules that it follows.

    Attributes:
        name: the metric's name.
        kind: a key of `INSTRUMENTS`.
        unit: the unit of values; may be empty.
        bounds: of the buckets; empty where the kind has none, and where they are exponential.
        ttl: seconds after which a series that did not change is removed; None: never.
        limits: on tags and series.
        tags: of the root, and so of all series.
        aggregate: how the values of processes that share a gauge combine; empty if not set.
        tag_keys: the keys that series may have beside those of `tags`; None: any.
    """

    __slots__ = ("aggregate", "bounds", "kind", "limits", "name", "tag_keys", "tags", "ttl", "unit")

    name: str
    kind: str
    unit: str
    bounds: tuple[float, ...]
    ttl: float | None
    limits: TagLimits
    tags: TagSet
    aggregate: str
    tag_keys: tuple[str, ...] | None

    def __init__(
        self,
        name: str,
        kind: str,
        unit: str,
        bounds: tuple[float, ...],
        ttl: float | None,
        limits: TagLimits,
        tags: TagSet,
        aggregate: str = "",
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        _set(self, "name", name)
        _set(self, "kind", kind)
        _set(self, "unit", unit)
        _set(self, "bounds", bounds)
        _set(self, "ttl", ttl)
        _set(self, "limits", limits)
        _set(self, "tags", tags)
        _set(self, "aggregate", aggregate)
        _set(self, "tag_keys", tag_keys)

    @property
    def exponential(self) -> bool:
        """True if series have exponential buckets."""
        return self.kind in WITH_BUCKETS and not self.bounds


class FamilyHooks(Frozen):
    """What a family asks of the registry that owns it. Only slow paths call these.

    Attributes:
        reject: called with a metric, a reason and a function that returns the details; counts and logs a record that was
            rejected or redirected, and raises where the registry is strict.
        readmit: registers an unregistered family again, and returns True if its name was still free.
        now: seconds since the epoch, for creation times.
        uptime: seconds on a clock that never steps, for `ttl`.
        settle: counts what could not be counted while shared memory could not be changed; returns True once that is done.
        exemplars: returns what identifies the present record, or None; None where the registry asks nobody.
        leaving: called with a series that is about to be removed by hand, and when it was created; empty where nobody asks.
    """

    __slots__ = ("exemplars", "leaving", "now", "readmit", "reject", "settle", "uptime")

    reject: Callable[[str, str, Callable[[], str]], None]
    readmit: Callable[[Family], bool]
    now: Callable[[], float]
    uptime: Callable[[], float]
    settle: Callable[[], bool]
    exemplars: ExemplarSource | None
    leaving: list[Callable[[Instrument, float], None]]

    def __init__(
        self,
        reject: Callable[[str, str, Callable[[], str]], None],
        readmit: Callable[[Family], bool],
        now: Callable[[], float],
        uptime: Callable[[], float],
        settle: Callable[[], bool] = bool,
        exemplars: ExemplarSource | None = None,
        leaving: list[Callable[[Instrument, float], None]] | None = None,
    ) -> None:
        _set(self, "reject", reject)
        _set(self, "readmit", readmit)
        _set(self, "now", now)
        _set(self, "uptime", uptime)
        _set(self, "settle", settle)
        _set(self, "exemplars", exemplars)
        _set(self, "leaving", [] if leaving is None else leaving)

    def leave(self, series: Instrument, created: float) -> None:
        """Tell that a series is about to be removed by hand."""
        for tell in list(self.leaving):
            tell(series, created)
