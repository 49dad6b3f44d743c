"""`KeptBase`: where the next report of a shared registry begins, whichever process makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallymark.log import logger
from tallymark.metric.snapshot import Snapshot
from tallymark.report.base import Base
from tallymark.report.base_record import RecordWriter, read_record

if TYPE_CHECKING:
    from tallymark.metric.registry import Registry
    from tallymark.report.backend import Backend
    from tallymark.report.base_store import Store

__all__ = ["KeptBase"]


class KeptBase(Base):
    """Keeps what was told outside of the process, which may be killed at any time.

    A backend that answers is told one report at a time, and that is kept when it has arrived: the next process may tell the
    last one again. For one that does not answer it is kept before: the last one may be lost.

    Args:
        registry: that is reported.
        backend: that is told.
        store: where to keep it.
    """

    one_at_a_time = True

    def __init__(self, registry: Registry, backend: Backend, store: Store) -> None:
        self._store = store
        self._registry = registry
        self._backend = backend
        self._writer = RecordWriter()
        self._failed = False
        super().__init__(self._read())

    def _read(self) -> Snapshot | None:
        try:
            record = self._store.read()
            return None if record is None else read_record(record, self._registry._engine.TagSet)
        except (OSError, ValueError) as error:
            return self._without(error)

    def _without(self, error: Exception) -> Snapshot | None:
        """Begin without what was kept: with everything for a backend that may be told twice, else with what is new."""
        what = "everything is reported" if self._backend.at_least_once else "only what is recorded from now on is reported"
        logger().warning(
            "%s %s: what it was told before cannot be read: %s. So %s", self._backend.kind, self._backend.address, error, what
        )
        return None if self._backend.at_least_once else self._registry.snapshot()

    def taken(self, until: Snapshot) -> None:
        """A report was made, and is about to be sent."""
        super().taken(until)
        if not self._backend.at_least_once:
            self._keep(until)

    def settled(self, until: Snapshot) -> None:
        """That report has arrived, or was given up."""
        if self._backend.at_least_once:
            self._keep(until)

    def _keep(self, until: Snapshot) -> None:
        try:
            self._store.write(self._writer.write(self._backend.select(until)))
            self._failed = False
        except (OSError, ValueError) as error:
            if not self._failed:
                self._failed = True
                logger().warning(
                    "%s %s: what it was told cannot be kept: %s. If this process is killed, something is reported twice",
                    self._backend.kind, self._backend.address, error,
                )  # fmt: skip
