"""A backend that sends lines over HTTP: what all backends over HTTP have in common, and no more."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import tallymark as tm
from tallymark.backends.answers import check_answer
from tallymark.client.address import Address
from tallymark.client.deadline import Deadline
from tallymark.client.errors import ClientError
from tallymark.client.http import HTTPClient
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError


class HTTPBackend(Backend):
    """Sends a line for each series: name and value."""

    kind = "http"

    def __init__(
        self,
        url: str,
        temporality: Literal["cumulative", "delta"] = "delta",
        *,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        most_bytes: int = 2**20,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.temporality = temporality
        self.most_bytes = most_bytes
        self._address = Address.parse(url)
        self._client = HTTPClient(self._address, headers, tls)

    @property
    def address(self) -> str:
        return self._address.url

    def encode(self, snapshot: tm.Snapshot, since: float) -> Iterator[bytes]:
        for series in snapshot:
            if series.kind == "counter" and not series.name.startswith("tallymark_"):
                yield f"{series.name} {series.value:g}\n".encode()

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        body = b"".join(parts)
        try:
            answer = self._client.request("POST", self._address.target, body, {"Content-Type": "text/plain"}, deadline)
        except ClientError as error:
            raise SendError(str(error)) from error
        check_answer(self._address, answer)
        return len(body)

    def close(self) -> None:
        self._client.close()


def total(bodies: Sequence[bytes], name: str) -> float:
    """Return the sum of what a server got of a series."""
    lines = [line.split() for body in bodies for line in body.decode().splitlines()]
    return sum([float(value) for each, value in lines if each == name])
