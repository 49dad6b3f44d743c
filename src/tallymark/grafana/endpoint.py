"""`Endpoint`: what a source has, as its scraper sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2

from tallymark.export.escaping import UNDERSCORES, metric_names
from tallymark.grafana.distribution import Classic, Distribution, Native
from tallymark.grafana.errors import GrafanaError
from tallymark.grafana.promql import Spelling, underscored
from tallymark.grafana.subject import KINDS, Kind, Subject
from tallymark.metric.data import ExponentialHistogramData, HistogramData
from tallymark.metric.snapshot import FamilySnapshot, Snapshot

__all__ = ["HISTOGRAMS", "Endpoint", "Metric"]

HISTOGRAMS = ("auto", "classic", "native")
"""How histograms are stored: `auto` takes those with exponential buckets for native ones."""


_MOST_SCALE = 20
"""The finest buckets that there are have this scale."""


@dataclass(frozen=True)
class Metric:
    """A metric and its name for the scraper.

    Attributes:
        stem: the name with underscores, without unit and `_total`: by this it is recognised, whatever the scraper calls it.
    """

    family: FamilySnapshot
    name: str
    stem: str


class Endpoint:
    """The metrics of a source.

    Args:
        snapshot: what it shows now. Metrics and tags that nothing was recorded to yet are not in it.
        source: where it is from, for messages.
        escaping: how its scraper escapes names.
        histograms: one of `HISTOGRAMS`.
    """

    def __init__(self, snapshot: Snapshot, source: str, *, escaping: str = UNDERSCORES, histograms: str = "auto") -> None:
        self.source = source
        self.spelling = Spelling(escaping)
        self._histograms = histograms
        families = [family for family in snapshot.families if len(family)]
        names = zip(families, metric_names(families, escaping), metric_names(families, UNDERSCORES), strict=True)
        self.metrics = [Metric(family, name, _stem(family, underscored(plain))) for family, name, plain in names]

    def find(self, stem: str) -> Metric | None:
        """Return the metric that is recognised by a name, however it is spelled."""
        return next((metric for metric in self.metrics if metric.stem == underscored(stem)), None)

    @property
    def rejected(self) -> str:
        """The name of the counter of rejected data, which is not there before the first; empty if nobody counts them."""
        metric = self.find("tallymark_rejected")
        if metric is not None:
            return metric.name
        return self.spelling.metric("tallymark_rejected_total") if self.find("tallymark_series") else ""

    def subjects(self, only: Sequence[str] = ()) -> list[Subject]:
        """Return what the service is asked for.

        Of two whose names differ only in what those of files and alerts cannot have, the first is taken.

        Args:
            only: the slugs of kinds; by default all.

        Raises:
            GrafanaError: there is none.
        """
        kinds = [kind for kind in KINDS if not only or kind.slug in only]
        found: dict[str, Subject] = {}
        for kind in kinds:
            for subject in self._of_kind(kind):
                found.setdefault(subject.slug.lower(), subject)
        if not found:
            names = " nor ".join([_shown(kind) for kind in kinds])
            raise GrafanaError(
                f"{self.source} has {'neither ' if len(kinds) > 1 else 'no '}{names}: it shows each after the first record;"
                " is this the service, and has it worked yet?"
            )
        return list(found.values())

    def _of_kind(self, kind: Kind) -> Iterator[Subject]:
        wanted = underscored(kind.duration)
        for metric in self.metrics:
            prefix = metric.stem.removesuffix(wanted)
            if prefix == metric.stem or not (prefix == "" or (kind.has_prefix and prefix.endswith("_"))):
                continue
            labels = {underscored(key): key for tags in metric.family.data.tags for key in tags}
            duration = self.distribution(metric)
            if (
                duration is not None
                and duration.unit in ("seconds", "")
                and not labels.keys().isdisjoint(map(underscored, kind.by))
            ):
                yield self._subject(kind, prefix, duration, labels)

    def _subject(self, kind: Kind, prefix: str, duration: Distribution, labels: dict[str, str]) -> Subject:
        others = {title: self.distribution(self.find(f"{prefix}{name}")) for title, name in kind.others}
        return Subject(
            kind,
            prefix,
            self.spelling,
            duration,
            labels,
            self._name(f"{prefix}{kind.in_progress[0]}"),
            self._name(f"{prefix}{kind.errors[0]}" if kind.errors else ""),
            {title: other for title, other in others.items() if other is not None},
        )

    def _name(self, stem: str) -> str:
        metric = self.find(stem) if stem else None
        return metric.name if metric else ""

    def distribution(self, metric: Metric | None) -> Distribution | None:
        """Return a metric's observations; None if it has no buckets."""
        if metric is None:
            return None
        family = metric.family
        match family.data:
            case HistogramData(bounds=bounds) if self._histograms != "native":
                return Classic(self.spelling, metric.name, family.unit, () if _are_exponential(bounds) else bounds)
            case ExponentialHistogramData() if self._histograms == "classic":
                return Classic(self.spelling, metric.name, family.unit)
            case HistogramData() | ExponentialHistogramData():
                return Native(self.spelling, metric.name, family.unit)
        return None


def _are_exponential(bounds: Sequence[float]) -> bool:
    """Return True for what a page of text shows of exponential buckets: powers of `2 ** 2 ** -scale`, which move with the data.

    At scale 0 and below they are powers of 2, as people choose bounds too. Those are not taken for exponential ones.
    """
    exponents = [log2(abs(bound)) for bound in bounds if bound]
    fractions = [abs(exponent * 2**_MOST_SCALE - round(exponent * 2**_MOST_SCALE)) for exponent in exponents]
    return max(fractions, default=1) < 1e-6 and exponents != list(map(round, exponents))


def _stem(family: FamilySnapshot, name: str) -> str:
    stem = name.removesuffix("_total") if family.kind == "counter" else name
    unit = "seconds" if family.kind == "timer" else family.unit
    for ending in (f"_{underscored(unit)}" if unit else "", "_seconds", "_bytes"):
        if ending and stem.endswith(ending):
            return stem.removesuffix(ending)
    return stem


def _shown(kind: Kind) -> str:
    return f"{underscored(kind.duration)}_seconds with the tag {' or '.join(map(underscored, kind.by))}"
