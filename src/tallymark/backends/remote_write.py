"""`RemoteWrite`: Prometheus remote write 1.0, which Prometheus, VictoriaMetrics, Mimir, Thanos and others receive."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from tallymark.backends.answers import check_answer
from tallymark.backends.http import http_client
from tallymark.client.errors import ClientError
from tallymark.export.protobuf_fields import ends_of_fields
from tallymark.export.remote_write import remote_write_parts
from tallymark.export.remote_write_labels import RemoteWriteLabels
from tallymark.metric.snapshot import Snapshot
from tallymark.metric.validation import check_type
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping, Sequence

    from tallymark.backends.http import Auth
    from tallymark.client.deadline import Deadline
    from tallymark.client.http import Answer

__all__ = ["RemoteWrite"]

_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_NO_NATIVE = b"native histograms are disabled"
"""What a Prometheus answers that could take them and is not told to."""


class RemoteWrite(Backend):
    """Sends totals by Prometheus remote write 1.0. Names and labels are those of a scrape, but for `job` and `instance`.

    Nobody adds these two here: give `tags` that tell this process from others that send the same series.

    Args:
        url: of the receiver, whole: `http://127.0.0.1:9090/api/v1/write`.
        headers: fields of each request, such as `X-Scope-OrgID`.
        auth: `(user, password)`, or the text of a token.
        tls: for `https://`; None: certificates are verified as the system does it.
        native_histograms: send exponential histograms as native ones. False: with classic buckets, for receivers that leave
            native ones out without a word, as VictoriaMetrics 1.79 does. A Prometheus that says that it has them
            disabled gets classic buckets from the next report on.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent. They win over `include`.
        tags: labels of all series; a series' own win.

    Raises:
        ImportError: the package `cramjam` is not installed.
        TypeError: an argument has another type.
        ValueError: the URL is none, or an argument cannot be sent.
    """

    kind: ClassVar[str] = "remote_write"

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        tls: ssl.SSLContext | None = None,
        native_histograms: bool = True,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        check_type("native_histograms", native_histograms, bool)
        self._client = http_client(url, headers=headers, auth=auth, tls=tls)
        self._snappy = _snappy()
        self._native = native_histograms
        self._labels = RemoteWriteLabels(self.tags)
        self._before: Snapshot | None = None

    @property
    def address(self) -> str:
        """Where reports go."""
        return self._client.address.url

    def encode(self, snapshot: Snapshot, since: float) -> Iterable[bytes]:
        """Yield parts of a request: all series, and a last sample of those that are gone since the report before."""
        before = self._before
        self._before = snapshot = _later(snapshot, before)
        return remote_write_parts(snapshot, prefix=self.prefix, labels=self._labels, before=before, native=self._native)

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send parts as one request, and return its size."""
        body = bytes(self._snappy.compress_raw(b"".join(parts)))
        try:
            answer = self._client.request("POST", self._client.address.target, body, _HEADERS, deadline)
        except ClientError as error:
            raise SendError(str(error)) from error
        self._check_native(answer)
        check_answer(self._client.address, answer)
        return len(body)

    def split(self, part: bytes) -> Sequence[bytes]:
        """Return two parts with half of the series of one each; none if it has a single one."""
        ends = ends_of_fields(part, b"\x0a\x1a")  # series, and what is told of metrics
        if len(ends) < 2:
            return ()
        middle = ends[len(ends) // 2 - 1]
        return part[:middle], part[middle:]

    def _check_native(self, answer: Answer) -> None:
        """Raise an error if the receiver has native histograms disabled, and send it no more of them."""
        if answer.status < 400 or _NO_NATIVE not in answer.body:
            return
        self._native = False
        raise SendError(
            f"{self.address} takes no native histograms; give native_histograms=False, or start Prometheus with"
            " --enable-feature=native-histograms. Until this process ends, the next reports have classic buckets",
            again=False,
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _later(snapshot: Snapshot, before: Snapshot | None) -> Snapshot:
    """Return a snapshot that is later than the one before: of two of one millisecond, a receiver rejects the second.

    A clock that was set back by more than a second stays as it is: nobody knows which of its times are right.
    """
    if before is None or not before.time - 1.0 < snapshot.time < before.time + 0.001:
        return snapshot
    return Snapshot(snapshot.families, (round(before.time * 1000.0) + 1) / 1000.0)


def _snappy() -> Any:
    try:
        return import_module("cramjam").snappy
    except ImportError:
        raise ImportError(
            "remote write needs the package cramjam, which compresses: pip install 'tallymark[remote-write]'"
        ) from None
