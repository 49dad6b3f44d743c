"""`InfluxDB`: writes reports in line protocol, over the HTTP API of InfluxDB 1 or 2, or of what speaks it."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from tallymark.backends.answers import check_answer
from tallymark.backends.http import http_client
from tallymark.client.errors import ClientError
from tallymark.export.influx import parts, series_texts
from tallymark.frozen import replace
from tallymark.metric.shared.printable import printable
from tallymark.metric.validation import check_type
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tallymark.backends.http import Auth
    from tallymark.client.address import Address
    from tallymark.client.deadline import Deadline
    from tallymark.client.http import Answer
    from tallymark.metric.snapshot import Snapshot

__all__ = ["InfluxDB"]

_ABSENT = re.compile("(database|retention policy|organization|bucket).* not found")
_LEVEL = 1
"""Of gzip: a third of the time of the usual one, for a tenth more bytes."""


class InfluxDB(Backend):
    """Writes each report to InfluxDB: a line for each series. What was not answered is sent again, and overwrites itself.

    Give `database` for InfluxDB 1, or `org` and `bucket`, with a `token`, for InfluxDB 2.

    Args:
        url: of the server, such as `"http://127.0.0.1:8086"`, without `/write`. It may have user and password.
        database: of InfluxDB 1. It must be there.
        retention_policy: of that database; "": its default.
        org: the organization's name or id, of InfluxDB 2.
        bucket: its name or id. It must be there.
        token: which may write to that bucket.
        headers: fields of each request.
        auth: `(user, password)`, of InfluxDB 1.
        tls: for `https://`; None: certificates are verified as the system does it.
        compress: send requests as gzip.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent.
        tags: for all series; a series' own win.

    Raises:
        TypeError: an argument has another type.
        ValueError: the URL is none; it is not clear where to write to; or the prefix is not valid. `TagError` for a tag.
    """

    kind: ClassVar[str] = "influxdb"

    def __init__(
        self,
        url: str,
        *,
        database: str = "",
        retention_policy: str = "",
        org: str = "",
        bucket: str = "",
        token: str = "",
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        tls: ssl.SSLContext | None = None,
        compress: bool = True,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        path = _path(database, retention_policy, org, bucket)
        self._client = http_client(url, headers=_with_token(headers, token, auth), auth=auth, tls=tls)
        self._address = _below(self._client.address, path)
        self._compress = bool(compress)
        self._texts = series_texts(self.tags)

    @property
    def address(self) -> str:
        """The URL that reports are written to."""
        return self._address.url

    def encode(self, snapshot: Snapshot, since: float) -> Iterator[bytes]:
        """Yield lines."""
        return parts(snapshot, self._texts, prefix=self.prefix, dropped=self.dropped)

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Write lines. Return how many bytes the request had, when they are stored.

        Raises:
            TooLargeError: there are too many.
            SendError: they were not stored, or only some of them; nobody knows whether they were.
        """
        body = b"".join(parts)
        fields = {"Content-Type": "text/plain; charset=utf-8"}
        if self._compress:
            body = gzip.compress(body, _LEVEL, mtime=0)
            fields["Content-Encoding"] = "gzip"
        try:
            answer = self._client.request("POST", self._address.target, body, fields, deadline)
        except ClientError as error:
            raise SendError(str(error)) from error
        self._check(answer)
        return len(body)

    def split(self, part: bytes) -> Sequence[bytes]:
        """Return two parts with half of the lines of one each; none if it has a single one."""
        lines = [line + b"\n" for line in part.split(b"\n") if line]
        middle = len(lines) // 2
        return (b"".join(lines[:middle]), b"".join(lines[middle:])) if middle else ()

    def _check(self, answer: Answer) -> None:
        words = _words(answer)
        if answer.status == 404 and _ABSENT.search(words):
            raise SendError(f"{self.address} answers 404: {printable(words[:300])}; create it, or name another", again=False)
        check_answer(self._address, replace(answer, body=words.encode()))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _below(server: Address, path: str) -> Address:
    if "?" in server.target or server.target.rstrip("/").endswith("/write"):
        raise ValueError(f"url must be that of the server alone, such as http://127.0.0.1:8086, not {server.url}")
    return server.at(server.target.rstrip("/") + path)


def _path(database: str, retention_policy: str, org: str, bucket: str) -> str:
    """Return where to write to, below the server's URL."""
    given = {"database": database, "retention_policy": retention_policy, "org": org, "bucket": bucket}
    for name, value in given.items():
        check_type(name, value, str)
    if database and not (org or bucket):
        policy = {"rp": retention_policy} if retention_policy else {}
        return f"/write?{urlencode({'db': database, **policy, 'precision': 'ns'})}"
    if org and bucket and not (database or retention_policy):
        return f"/api/v2/write?{urlencode({'org': org, 'bucket': bucket, 'precision': 'ns'})}"
    names = ", ".join([name for name, value in given.items() if value]) or "nothing"
    raise ValueError(f"InfluxDB needs database= (InfluxDB 1), or org= and bucket= (InfluxDB 2); given is {names}")


def _with_token(headers: Mapping[str, str] | None, token: str, auth: Auth | None) -> Mapping[str, str] | None:
    """Return the fields of each request, with the one of a token."""
    check_type("token", token, str)
    if not token:
        return headers
    if auth is not None or "authorization" in [str(name).lower() for name in headers or ()]:
        raise ValueError("there are credentials in token and in another argument; give them once")
    if not token.isascii() or not token.isprintable() or token.strip() != token:
        raise ValueError("the token has characters that cannot be sent; if it is read from a file, .strip() it")
    return {**(headers or {}), "Authorization": f"Token {token}"}


def _words(answer: Answer) -> str:
    """Return what a server says: InfluxDB 1 as `error`, 2 as `message`, others as they like."""
    text = answer.body.decode("utf-8", "replace")
    try:
        told = json.loads(text)
        words = told.get("message") or told.get("error")
    except (ValueError, AttributeError, RecursionError):
        return text
    return words if isinstance(words, str) else text
