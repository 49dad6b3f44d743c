"""`from_prometheus_client`: what a registry of prometheus_client holds, as a collector of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tallymark.bridges.client_family import Series, families_of
from tallymark.bridges.client_metrics import ClientMetrics, Describing
from tallymark.bridges.extras import imported
from tallymark.bridges.underway import crossing, underway
from tallymark.log import logger
from tallymark.metric.rejections import failure_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from tallymark.metric.snapshot import FamilySnapshot

    Reject: TypeAlias = Callable[[str, str, Callable[[], str]], None]

__all__ = ["ClientCollector", "from_prometheus_client"]


def from_prometheus_client(theirs: Any = None) -> ClientCollector:
    """Return a collector that shows the metrics of a registry of prometheus_client, as they are whenever ours is read.

        tm.registry().register(tm.bridges.from_prometheus_client())

    They keep their names, labels, bounds, exemplars and times of creation. One of their collectors that fails is missing, with
    its own metrics alone, and counted in `tallymark_rejected`; so is a metric whose name an instrument of ours has.

    Args:
        theirs: a `CollectorRegistry`, such as one with a `MultiProcessCollector`; by default `prometheus_client.REGISTRY`.

    Raises:
        TypeError: it has no method `collect`.
        ImportError: no registry is given, and prometheus_client is not installed.
    """
    if theirs is None:
        theirs = imported("prometheus_client", "prometheus_client", "prometheus-client").REGISTRY
    return ClientCollector(theirs)


class _Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float
    exemplar: None = None


class _Target:
    """The metric `target_info` of a registry, which no collector of it tells."""

    name, type, documentation, unit = "target", "info", "Target metadata", ""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs
        self.samples: list[_Sample] = []

    def collect(self) -> list[_Target]:
        """Return it, if the registry has one."""
        labels = self._theirs.get_target_info() if hasattr(self._theirs, "get_target_info") else None
        self.samples = [_Sample("target_info", labels, 1.0)] if labels else []
        return [self] if labels else []


class ClientCollector:
    """Shows a registry of prometheus_client; made by `from_prometheus_client`. Two of the same registry are equal."""

    name = "prometheus_client"

    def __init__(self, theirs: Any) -> None:
        if not callable(getattr(theirs, "collect", None)):
            raise TypeError(f"from_prometheus_client() takes a CollectorRegistry, not {type(theirs).__name__}")
        self._theirs = theirs
        self._logged = False
        self._series = Series({})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientCollector) and other._theirs is self._theirs

    def __hash__(self) -> int:
        return hash(id(self._theirs))

    def collect(self) -> list[FamilySnapshot]:
        """Return the families of all their collectors but those that fail."""
        return self.collect_or_reject(lambda metric, reason, detail: None)

    def collect_or_reject(self, reject: Reject) -> list[FamilySnapshot]:
        """Return the families of all their collectors; `reject` is told of those that fail."""
        if self._is_asked_by_them():
            return []
        with crossing(self):
            series = Series(self._series.read)
            families = list(self._families(reject, series))
        self._series = series
        return families

    def _families(self, reject: Reject, series: Series) -> Iterator[FamilySnapshot]:
        for collector in [*self._collectors(), _Target(self._theirs)]:
            name = str(getattr(collector, "_name", "") or type(collector).__name__)
            try:
                for metric in collector.collect():
                    name = str(metric.name)
                    yield from families_of(metric, series)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever it is, it is not the end of a scrape
                _reject_failure(reject, name, error)

    def _collectors(self) -> list[Any]:
        """Return what is asked: each collector, since of all together nobody could ask the rest after one fails."""
        known, lock = getattr(self._theirs, "_collector_to_names", None), getattr(self._theirs, "_lock", None)
        if known is None or lock is None:  # not a registry, but something else that collects
            return [self._theirs]
        with lock:
            return list(known)

    def _is_asked_by_them(self) -> bool:
        """Return True where their registry is being read, shows ours, and asks us: it has its own metrics already."""
        if any(isinstance(one, Describing) for one in underway()):
            return True
        asking = [one for one in underway() if isinstance(one, ClientMetrics)]
        if not asking:
            return False
        known = self._collectors()
        if not any(one is other for one in asking for other in known):
            return False
        if not self._logged:
            self._logged = True
            logger().info("a registry of ours and one of prometheus_client show each other: each metric is shown once")
        return True


def _reject_failure(reject: Reject, name: str, error: BaseException) -> None:
    failure = failure_text(error)
    reject(name, "collector", lambda: f"its collector in prometheus_client failed: {failure}")
