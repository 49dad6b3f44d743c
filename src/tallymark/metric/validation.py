"""Which names a metric may have, and when a request fits the metric that has its name."""

from __future__ import annotations

from math import inf

from tallymark.engine.number import to_float
from tallymark.engine.options import TagLimits, check_key
from tallymark.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tallymark.engine.options import FamilyOptions

__all__ = [
    "CENSUS",
    "PROCESS_CPU",
    "REJECTED",
    "REPORTS",
    "MetricRequest",
    "check_free",
    "check_name",
    "check_tag_keys",
    "check_ttl",
    "check_type",
    "conflict_with",
    "text",
]

REJECTED = "tallymark_rejected"
"""The counter, tagged by metric and reason, that each registry keeps of the records that it rejected or redirected."""

CENSUS = "tallymark_series"
"""The gauge, tagged by metric, of how many series a registry has."""

PROCESS_CPU = "tallymark_process_cpu"
"""The histogram in which processes that share a registry keep their CPU time. No snapshot shows it."""

REPORTS = tuple([f"tallymark_report{end}" for end in ("s", "_duration", "_bytes", "_last_success", "_queue")])
"""How reporters are doing, tagged by backend."""

_PUNCTUATION = dict.fromkeys(map(ord, "_.:/-"))

_set = object.__setattr__


class MetricRequest(Frozen):
    """What a program asks a registry for. Omitted options match anything, and have a default where the metric is new.

    Attributes:
        kind: as in `FamilyOptions`.
        name: the metric's name.
        description: empty: omitted.
        unit: empty: omitted.
        bounds: None: omitted; empty: exponential buckets.
        default_bounds: what a new metric gets if they are omitted.
        ttl: None: omitted.
        limits: None: omitted.
        aggregate: empty: omitted.
        tag_keys: None: omitted.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: the ttl is not valid.
    """

    __slots__ = (
        "aggregate", "bounds", "default_bounds", "description", "kind", "limits", "name", "tag_keys", "ttl", "unit",
    )  # fmt: skip

    kind: str
    name: str
    description: str
    unit: str
    bounds: tuple[float, ...] | None
    default_bounds: tuple[float, ...]
    ttl: float | None
    limits: TagLimits | None
    aggregate: str
    tag_keys: tuple[str, ...] | None

    def __init__(
        self,
        kind: str,
        name: str,
        description: str = "",
        unit: str = "",
        bounds: tuple[float, ...] | None = None,
        default_bounds: tuple[float, ...] = (),
        ttl: float | None = None,
        limits: TagLimits | None = None,
        aggregate: str | None = None,
        tag_keys: Iterable[str] | None = None,
    ) -> None:
        if limits is not None:
            check_type("limits", limits, TagLimits)
        _set(self, "kind", kind)
        _set(self, "name", text("name", name))
        _set(self, "description", text("description", description))
        _set(self, "unit", text("unit", unit))
        _set(self, "bounds", bounds)
        _set(self, "default_bounds", default_bounds)
        _set(self, "ttl", None if ttl is None else check_ttl(name, ttl))
        _set(self, "limits", limits)
        _set(self, "aggregate", aggregate or "")
        _set(self, "tag_keys", None if tag_keys is None else check_tag_keys(name, tag_keys))


def check_type(name: str, value: object, kind: type) -> None:
    """Raise `TypeError` unless `value`, the argument called `name`, is a `kind`."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "aeiouAEIO" else "a"
        raise TypeError(f"{name} must be {article} {kind.__name__}, not {type(value).__name__}")


def text(name: str, value: str) -> str:
    """Return the argument called `name` as an exact `str`; `TypeError` for what is not text."""
    if type(value) is str:
        return value
    check_type(name, value, str)
    return str.__str__(value)


def check_name(name: str) -> None:
    """Raise `ValueError` unless a metric may have this name."""
    rest = name.translate(_PUNCTUATION)
    first = name[:1]
    if (
        not name.isascii()
        or not (first.isalpha() or first in ("_", ":"))
        or not (rest == "" or rest.isalnum())
        or len(name) > 255
    ):
        raise ValueError(
            f"metric name {name[:300]!r} is not valid: it starts with an ASCII letter, '_' or ':', and goes on with letters,"
            " digits and any of '_.:/-', up to 255 characters"
        )


def check_free(name: str) -> None:
    """Raise `ValueError` if a name is reserved for the registry itself."""
    if name.startswith("tallymark_") and name not in (REJECTED, PROCESS_CPU, *REPORTS):
        raise ValueError(f"metric name {name!r} is not free: 'tallymark_' is reserved for the registry's own metrics")


def check_ttl(name: str, ttl: float | None) -> float | None:
    """Return a time to live as a float. `TypeError` for what is not a number, `ValueError` for what is not positive."""
    if ttl is None:
        return None
    try:
        seconds = to_float(ttl)
    except OverflowError:
        seconds = inf
    if not seconds > 0:
        raise ValueError(f"metric {name!r}: ttl must be positive, not {ttl!r}")
    return seconds


def check_tag_keys(name: str, tag_keys: Iterable[str]) -> tuple[str, ...]:
    """Return declared keys as exact `str`.

    Raises:
        TypeError: they are not texts in an order.
        TagError: one cannot be a tag key.
        ValueError: one is named twice.
    """
    if isinstance(tag_keys, str | set | frozenset) or not hasattr(type(tag_keys), "__iter__"):
        # A set's order differs from one process to the next, and values by place would go to other keys.
        kind = type(tag_keys).__name__
        raise TypeError(f"metric {name!r}: tag_keys must be a tuple or list of str, ('method', 'status') say, not a {kind}")
    keys = tuple([text(f"metric {name!r}: a tag key", key) for key in tag_keys])
    for key in keys:
        check_key(key)
    if len(set(keys)) < len(keys):
        raise ValueError(f"metric {name!r}: tag_keys names a key twice: {keys!r}")
    return keys


def conflict_with(options: FamilyOptions, wanted: MetricRequest, *, but_bounds: bool = False) -> str:
    """Return how a request differs from the metric of its name; empty: not at all. Omitted options match anything.

    Args:
        but_bounds: bounds match any others.
    """
    present = options.bounds or "exponential"
    asked = (
        ("kind", wanted.kind, options.kind),
        ("unit", wanted.unit or options.unit, options.unit),
        ("bounds", present if wanted.bounds is None or but_bounds else wanted.bounds or "exponential", present),
        ("aggregate", wanted.aggregate or options.aggregate or "last", options.aggregate or "last"),
        ("tag_keys", options.tag_keys if wanted.tag_keys is None else wanted.tag_keys, options.tag_keys),
    )
    for what, want, has in asked:
        if want != has:
            return f"metric {options.name!r} exists already with {what} {has!r}; {want!r} needs another name"
    return ""
