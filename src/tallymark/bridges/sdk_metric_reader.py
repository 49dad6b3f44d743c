"""`RegistryReader`: a reader of OpenTelemetry's SDK that is read when a registry of ours is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricReader

from tallymark.bridges.sdk_family import families_of
from tallymark.bridges.underway import crossing, underway
from tallymark.metric.rejections import failure_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from opentelemetry.sdk.metrics.export import MetricsData

    from tallymark.metric.registry import Registry
    from tallymark.metric.snapshot import FamilySnapshot

    Reject: TypeAlias = Callable[[str, str, Callable[[], str]], None]

__all__ = ["RegistryReader"]

_PATIENCE = 5.0
"""Seconds to wait for others who read the SDK, as a scrape can."""


class RegistryReader(MetricReader):
    """Shows what the SDK measures in a registry; made by `from_opentelemetry`. It is told totals, whatever others are told."""

    def __init__(self, registry: Registry, *, scopes: bool, target_info: bool) -> None:
        super().__init__()
        self._registry = registry
        self._received: MetricsData | None = None
        self._reading = threading.RLock()
        self._collector = _Collector(self, scopes, target_info)
        registry.register(self._collector)

    def read(self) -> MetricsData | None:
        """Return what the SDK has measured until now; None if that is nothing, or it has no provider yet."""
        if self._collect is None:
            return None
        with self._reading:
            self._wait_for_sdk()
            self._received = None
            self.collect()
            received, self._received = self._received, None
        return received

    def _wait_for_sdk(self) -> None:
        """Wait while another reader reads the SDK. If a callback of the SDK asks us, that would never end: raise then.

        Raises:
            TimeoutError: it is still being read.
        """
        lock: Any = getattr(getattr(self._collect, "__self__", None), "_lock", None)
        if lock is None:  # a version that has no such lock
            return
        if not lock.acquire(timeout=_PATIENCE):
            raise TimeoutError(f"it is being read since {_PATIENCE:g} s; does one of its callbacks read this registry?")
        lock.release()

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        self._received = metrics_data

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing: it is read when the registry is."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Show nothing more. May be called again."""
        self._registry.unregister(self._collector)


class _Collector:
    """Collects what a reader reads."""

    name = "opentelemetry"

    def __init__(self, reader: RegistryReader, scopes: bool, target_info: bool) -> None:
        self._reader = reader
        self._scopes = scopes
        self._target_info = target_info

    def collect(self) -> list[FamilySnapshot]:
        """Return all families but those that cannot be told."""
        return self.collect_or_reject(lambda metric, reason, detail: None)

    def collect_or_reject(self, reject: Reject) -> list[FamilySnapshot]:
        """Return all families; `reject` is told of those that cannot be told."""
        if any(getattr(one, "exports_beside", False) for one in underway()):  # the SDK exports them itself, in the same message
            return []
        with crossing(self._reader):
            return list(self._families(reject))

    def _families(self, reject: Reject) -> Iterator[FamilySnapshot]:
        try:
            received = self._reader.read()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the SDK raises what it calls MetricsTimeoutError, and more
            failure = failure_text(error)
            reject(self.name, "collector", lambda: f"the SDK could not be read: {failure}")
            return
        if received is not None:
            yield from families_of(received, reject, scopes=self._scopes, target_info=self._target_info)
