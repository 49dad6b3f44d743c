"""`Pushgateway`: where batch jobs leave their last metrics, for Prometheus to scrape."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import quote

from tallymark.backends.answers import check_answer
from tallymark.backends.http import http_client
from tallymark.client.deadline import Deadline
from tallymark.client.errors import ClientError
from tallymark.export import prometheus, protobuf
from tallymark.export.relabelling import Relabelling
from tallymark.export.tagged_page import TaggedPage
from tallymark.metric.validation import check_type
from tallymark.report.backend import Backend
from tallymark.report.errors import ReportError, SendError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from tallymark.backends.http import Auth
    from tallymark.client.http import HTTPClient
    from tallymark.metric.snapshot import Snapshot

__all__ = ["Pushgateway"]

_METHODS = {"push": "PUT", "add": "POST"}
_LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")


class Pushgateway(Backend):
    """Leaves metrics at a Pushgateway, in a group: what was sent last stays there until it is replaced, or deleted.

    With the package `protobuf`, exponential histograms are sent as native ones, with classic buckets beside them; without it,
    with classic buckets alone.

    Args:
        url: of the Pushgateway, without `/metrics`: `http://127.0.0.1:9091`.
        job: the label `job` of the group.
        grouping: further labels of the group, with any values. Series have the labels of their group, whatever their own are.
        method: `"push"` replaces all metrics of the group; `"add"` those that have the same names.
        headers: fields of each request.
        auth: `(user, password)`, or the text of a token.
        tls: for `https://`; None: certificates are verified as the system does it.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent. They win over `include`.
        tags: labels of all series; a series' own win.

    Raises:
        TypeError: an argument has another type.
        ValueError: the URL is none, or an argument cannot be sent.
    """

    kind: ClassVar[str] = "pushgateway"
    keeps: Literal["all", "latest"] = "latest"

    def __init__(
        self,
        url: str,
        *,
        job: str,
        grouping: Mapping[str, str] | None = None,
        method: Literal["push", "add"] = "push",
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        tls: ssl.SSLContext | None = None,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        if method not in _METHODS:
            raise ValueError(f"method must be 'push' or 'add', not {method!r}; to delete the group, call delete()")
        self._method = _METHODS[method]
        self._connect: Callable[[], HTTPClient] = lambda: http_client(url, headers=headers, auth=auth, tls=tls)
        self._client = self._connect()
        address = self._client.address
        if "?" in address.target:
            raise ValueError(f"{address.url}: the URL of a Pushgateway has no query")
        self._address = address.at(address.target.rstrip("/") + _path_of(job, {} if grouping is None else grouping))
        self._relabelling = Relabelling(self.prefix, self.tags)
        self._page = TaggedPage(self.tags)
        self._protobuf = protobuf.available()
        if self._protobuf:  # now: in a forked child, an import that the reporters' thread began never ends
            import_module("tallymark.export.protobuf_families")
        self._fields = {"Content-Type": protobuf.CONTENT_TYPE if self._protobuf else prometheus.CONTENT_TYPE}

    @property
    def address(self) -> str:
        """Where the group is."""
        return self._address.url

    def encode(self, snapshot: Snapshot, since: float) -> Iterable[bytes]:
        """Return the whole report as one part: what is left of a group by a part of it would be no report."""
        told = self._relabelling.relabelled(snapshot)
        return [protobuf.render_protobuf(told, classic=True, tags=self.tags) if self._protobuf else self._page.render(told)]

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send a report, and return its size."""
        body = b"".join(parts)
        self._ask(self._client, self._method, body, self._fields, deadline)
        return len(body)

    def delete(self, timeout: float = 10.0) -> None:
        """Delete the group with all its metrics, as when the job is done for good. It is no error if there is none.

        It is for when nothing is reported any more: a report that comes later makes the group anew.

        Args:
            timeout: seconds.

        Raises:
            ReportError: the group was not deleted. The message has the Pushgateway's own words.
        """
        client = self._connect()  # a reporter's thread may be using the other one
        try:
            self._ask(client, "DELETE", b"", {}, Deadline(timeout, time.monotonic))
        except SendError as error:
            raise ReportError(f"{self.kind} {self.address}: the group was not deleted: {error}") from error
        finally:
            client.close()

    def _ask(self, client: HTTPClient, method: str, body: bytes, fields: Mapping[str, str], deadline: Deadline) -> None:
        try:
            answer = client.request(method, self._address.target, body, fields, deadline)
        except ClientError as error:
            raise SendError(str(error)) from error
        check_answer(self._address, answer)

    def close(self) -> None:
        """Close the connection. The group stays."""
        self._client.close()


def _path_of(job: str, grouping: object) -> str:
    """Return the path of a group."""
    check_type("job", job, str)
    if not job:
        raise ValueError("job must not be empty: it is the name of the group at the Pushgateway")
    if not isinstance(grouping, Mapping):
        raise TypeError(f"grouping must be a mapping such as {{'instance': 'a'}}, not {type(grouping).__name__}")
    for name, value in grouping.items():
        check_type("each name of grouping", name, str)
        check_type(f"the value of {name[:80]!r} in grouping", value, str)
        if not _LABEL.fullmatch(name):
            raise ValueError(f"grouping: {name[:80]!r} cannot be the name of a label: use ASCII letters, digits and _")
        if name == "job":
            raise ValueError("grouping has a label 'job': give that as job=")
    return "".join(["/metrics", _segments("job", job), *[_segments(*pair) for pair in grouping.items()]])


def _segments(name: str, value: str) -> str:
    """Return a label as parts of a path. Values that a path cannot carry, or that it is cleaned of, are written in Base64.

    Source: https://github.com/prometheus/pushgateway#url
    """
    data = value.encode("utf-8", "replace")
    if not data:
        return f"/{name}@base64/="
    if b"/" in data or data in (b".", b".."):
        return f"/{name}@base64/{base64.urlsafe_b64encode(data).decode()}"
    return f"/{name}/{quote(data, safe='')}"
