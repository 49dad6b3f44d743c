"""`SharedEntry`: what shared memory holds about a family."""

from __future__ import annotations

import json

from tallymark.engine.kinds import INSTRUMENTS, WITH_BUCKETS, WITH_EXEMPLARS
from tallymark.engine.options import FamilyOptions, TagLimits
from tallymark.frozen import Frozen, replace
from tallymark.metric.validation import MetricRequest, check_tag_keys, check_ttl

__all__ = ["AGGREGATES", "SharedEntry"]

AGGREGATES = ("last", "sum", "max", "min")


class SharedEntry(Frozen):
    """What shared memory holds about a family, for all processes: the first to ask for the metric decides it."""

    __slots__ = ("aggregate", "bounds", "description", "kind", "limits", "name", "tag_keys", "ttl", "unit")

    name: str
    kind: str
    unit: str
    bounds: tuple[float, ...]
    aggregate: str
    description: str
    ttl: float | None
    limits: TagLimits
    tag_keys: tuple[str, ...] | None

    @classmethod
    def of(cls, options: FamilyOptions, description: str) -> SharedEntry:
        """Return those of a family's options that all processes must agree on."""
        return cls(
            options.name, options.kind, options.unit, options.bounds, options.aggregate or "last", description, options.ttl,
            options.limits, options.tag_keys,
        )  # fmt: skip

    def options(self, like: FamilyOptions) -> FamilyOptions:
        """Return options that agree with this entry, and are otherwise those of `like`."""
        return replace(
            like, name=self.name, kind=self.kind, unit=self.unit, bounds=self.bounds, aggregate=self.aggregate,
            ttl=self.ttl, limits=self.limits, tag_keys=self.tag_keys,
        )  # fmt: skip

    def request(self) -> MetricRequest:
        """Return a request for the same family, to check whether another family fits it."""
        bounds = self.bounds if self.kind in WITH_BUCKETS else None
        return MetricRequest(self.kind, self.name, "", self.unit, bounds, aggregate=self.aggregate, tag_keys=self.tag_keys)

    @classmethod
    def read(cls, text: bytes | None) -> SharedEntry | None:
        """Decode a text; return None for one that `write` cannot have written."""
        try:
            name, _, rest = (text or b"").decode().partition("\n")
            kind, unit, bounds, aggregate, description, ttl, limits, tag_keys = json.loads(rest)
            entry = cls(
                name, kind, unit, tuple(map(float, bounds)), aggregate, description, check_ttl(name, ttl), TagLimits(**limits),
                None if tag_keys is None else check_tag_keys(name, tag_keys),
            )  # fmt: skip
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None
        return entry if entry._is_valid() else None

    def _is_valid(self) -> bool:
        texts = all(isinstance(one, str) for one in (self.kind, self.unit, self.description, *self.limits.disallowed_keys))
        if not texts or self.kind not in INSTRUMENTS:
            return False
        ascending = all(a < b for a, b in zip(self.bounds, self.bounds[1:], strict=False))
        combines = self.aggregate == "last" or (self.kind == "gauge" and self.aggregate in AGGREGATES)
        return (self.kind in WITH_BUCKETS or not self.bounds) and ascending and combines

    def write(self) -> bytes:
        """Return the text that `read` decodes."""
        limits = {name: getattr(self.limits, name) for name in TagLimits.__slots__}
        rest = [
            self.kind, self.unit, self.bounds, self.aggregate, self.description, self.ttl, limits, self.tag_keys,
        ]  # fmt: skip
        return f"{self.name}\n{json.dumps(rest)}".encode()

    @property
    def is_exponential(self) -> bool:
        """True if series have exponential buckets."""
        return self.kind in WITH_BUCKETS and not self.bounds

    @property
    def words(self) -> int:
        """Cells of a series: one, or of a gauge that expires two; or a count for each bucket, sum, least and greatest value."""
        if self.is_exponential:
            from tallymark.metric.shared.exponential import WORDS

            return WORDS
        if self.kind in WITH_BUCKETS:
            return len(self.bounds) + 4
        return 2 if self.ttl is not None and self.kind != "counter" else 1

    @property
    def extra(self) -> int:
        """Bytes of a series beside its cells: where its exemplars are, if it may have some."""
        return 8 if self.kind in WITH_EXEMPLARS else 0
