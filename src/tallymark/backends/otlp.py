"""`OTLP`: a backend that speaks OpenTelemetry's protocol, such as the OpenTelemetry collector, over HTTP or gRPC."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, cast

from tallymark.backends.http import http_fields
from tallymark.backends.otlp_resource import Identity
from tallymark.backends.otlp_tls import Certificates
from tallymark.backends.otlp_variables import COMPRESSIONS, PROTOCOLS, Variables, address_of, header_problem
from tallymark.log import logger
from tallymark.metric.validation import check_type
from tallymark.report.backend import Backend
from tallymark.report.errors import SendError
from tallymark.version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from tallymark.backends.http import Auth
    from tallymark.backends.otlp_resource import Value
    from tallymark.client.deadline import Deadline
    from tallymark.metric.snapshot import Snapshot

__all__ = ["OTLP"]


class OTLP(Backend):
    """Sends metrics to whoever takes OTLP: the OpenTelemetry collector, Prometheus 3, VictoriaMetrics, and services.

    What is None is taken from the environment: `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_PROTOCOL`, `…_HEADERS`, `…_COMPRESSION`,
    `…_TIMEOUT`, `…_CERTIFICATE`, `…_CLIENT_KEY`, `…_CLIENT_CERTIFICATE`, each also as `OTEL_EXPORTER_OTLP_METRICS_…`, which
    wins; and `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`. There, a value that cannot be used is logged, and the
    default taken.

    Args:
        url: such as `http://127.0.0.1:4318/v1/metrics`, or `http://127.0.0.1:4317` with gRPC. It may have a user and password.
        protocol: `"http/protobuf"`, or `"grpc"`, which needs the extra `otlp-grpc`.
        headers: fields of each request, such as `{"X-Scope-OrgID": "team"}`.
        auth: `(user, password)`, or the text of a token, which is sent as `Authorization: Bearer …`.
        temporality: `"cumulative"`: totals, which are right whatever is lost; or `"delta"`: what was added since the report
            before.
        compression: `"none"` or `"gzip"`.
        timeout: seconds that one request may take, 10 by default; with `report_to`, it is never more than 5.
        certificate: the path of a PEM file of who issued the server's certificate.
        client_key: that of our own key.
        client_certificate: that of our own certificate.
        tls: instead of these three; not with gRPC.
        resource: attributes of the resource, such as `{"service.name": "shop"}`. They win over `OTEL_RESOURCE_ATTRIBUTES`,
            `OTEL_SERVICE_NAME`, the tags of a metric `target_info`, and what `tm.detect_host()` knows.
        prefix: begins each metric's name.
        include: globs of names; only these metrics are sent. Empty: all.
        exclude: globs of names; these are not sent.
        tags: for all series; a series' own win.
        environ: the variables to use, instead of `os.environ`.

    Attributes:
        problems: a line for each variable that cannot be used, as it was logged.
        rejected_points: data points that the server told it did not take, of requests that it took.

    Raises:
        TypeError: an argument has another type.
        ValueError: an argument's value cannot be used.
        ImportError: an extra is not installed: `pip install 'tallymark[otlp]'`.
        OSError: a file of a certificate cannot be read.
    """

    kind = "otlp"

    def __init__(
        self,
        url: str | None = None,
        *,
        protocol: Literal["http/protobuf", "grpc"] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        temporality: Literal["cumulative", "delta"] | None = None,
        compression: Literal["none", "gzip"] | None = None,
        timeout: float | None = None,
        certificate: str | os.PathLike[str] | None = None,
        client_key: str | os.PathLike[str] | None = None,
        client_certificate: str | os.PathLike[str] | None = None,
        tls: ssl.SSLContext | None = None,
        resource: Mapping[str, Value] | None = None,
        prefix: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix=prefix, include=include, exclude=exclude, tags=tags)
        environ = os.environ if environ is None else environ
        variables = Variables(environ)
        self.protocol = _chosen("protocol", protocol, PROTOCOLS, variables.protocol)
        chosen = _chosen("temporality", temporality, ("cumulative", "delta"), variables.temporality)
        self.temporality = cast("Literal['cumulative', 'delta']", chosen)
        self.keeps = "latest" if self.temporality == "cumulative" else "all"
        self._compression = _chosen("compression", compression, COMPRESSIONS, variables.compression)
        self._timeout = variables.timeout() if timeout is None else _seconds(timeout)
        self._address = variables.address(self.protocol) if url is None else address_of(_text("url", url), self.protocol)
        self._headers = self._fields(headers, auth, variables.headers() if headers is None else {}, is_ours=url is not None)
        self._certificates = Certificates.of(
            {"certificate": certificate, "client_key": client_key, "client_certificate": client_certificate}, tls, variables
        )
        variables.check_resource()
        self.problems = tuple(variables.problems)
        self._identity = Identity(resource or {}, environ)
        self.rejected_points = 0
        self._target: dict[str, str] = {}
        self._logged = ""
        self._process = os.getpid()
        self._export, self._partial_success = _messages()
        self._wire = self._open()

    def _fields(
        self, headers: Mapping[str, str] | None, auth: Auth | None, others: dict[str, str], *, is_ours: bool
    ) -> dict[str, str]:
        """Return all header fields. Those of the environment, `others`, give way to arguments, a password in the URL too."""
        fields = {name.lower(): value for name, value in http_fields(self._address, headers, auth).items()}
        for problem in filter(None, [header_problem(name, value) for name, value in fields.items()]):
            raise ValueError(f"headers: {problem}")
        if is_ours and self._address.credentials:
            others.pop("authorization", None)
        return {**others, **fields}

    def _open(self) -> Any:
        if self.protocol == "http/protobuf":
            from tallymark.backends.otlp_http import HTTPWire  # it imports what the extra installs, as the other does

            return HTTPWire(self._address, self._headers, self._certificates.context(), self._compression)
        try:
            from tallymark.backends.otlp_grpc import GRPCWire
        except ImportError as error:
            raise ImportError(
                "OTLP over gRPC needs the packages grpcio and googleapis-common-protos: pip install 'tallymark[otlp-grpc]'"
            ) from error
        return GRPCWire(self._address, self._headers, self._certificates.texts(), self._compression)

    @property
    def address(self) -> str:
        """Where reports go: without credentials."""
        return self._address.url

    def encode(self, snapshot: Snapshot, since: float) -> Iterable[bytes]:
        """Yield the parts of a report.

        Args:
            snapshot: totals; for `"delta"`, what was added to counters, distributions and summaries: gauges, and sums that
                are not monotonic, are told as they are.
            since: for `"delta"`, when the snapshot before was taken; 0 if there was none.
        """
        self._target = self._export.target_attributes(snapshot)
        parts: Iterable[bytes] = self._export.parts(
            snapshot, prefix=self.prefix, tags=self.tags, delta=self.temporality == "delta", since=since
        )
        return parts

    def send(self, parts: Sequence[bytes], deadline: Deadline) -> int:
        """Send parts as one request, and return how many bytes that took.

        Raises:
            TooLargeError: there are too many, or one is too large.
            SendError: they did not arrive, or nobody knows.
        """
        if self._process != os.getpid():
            self._forget()
        message = self._export.request(parts, self._identity.attributes(self._target, self.shared_name), __version__)
        try:
            deadline.left()
        except TimeoutError:
            raise SendError(f"{self.address} was not asked: there was no time left") from None
        answer, sent = self._wire.send(message, deadline.within(self._timeout))
        self._read(answer)
        return int(sent)

    def split(self, part: bytes) -> Sequence[bytes]:
        """Return two parts with half of the points of one each; none if it has a single one."""
        halves: Sequence[bytes] = self._export.halves(part)
        return halves

    def _read(self, answer: bytes) -> None:
        """Count and log what a server did not take of a request that it took. It must not be sent again."""
        try:
            rejected, words = self._partial_success(answer)
        except ValueError as error:
            self._log(str(error))
            return
        if rejected:
            self.rejected_points += rejected
            self.dropped(self.kind, "partial_success")  # it does not tell of which metrics
            self._log(f"rejected data points: {words or 'it does not say why'}")
        elif words:
            self._log(f"warns: {words}")
        else:
            self._logged = ""

    def _log(self, words: str) -> None:
        if words != self._logged:
            self._logged = words
            logger().warning("%s %s", self.address, words)

    def close(self) -> None:
        """Close what is open; the next `send` opens it again. In a forked child, the parent's stays open."""
        if self._process != os.getpid():
            self._forget()
        else:
            self._wire.close()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._wire.forget()


def _messages() -> tuple[Any, Any]:
    """Return the exporter, and what reads the answers of servers."""
    try:
        from tallymark.backends.otlp_answer import partial_success
        from tallymark.export import otlp
    except ImportError as error:
        raise ImportError(
            "OTLP needs the package opentelemetry-proto: pip install 'tallymark[otlp]', for gRPC 'tallymark[otlp-grpc]'"
        ) from error
    return otlp, partial_success


def _chosen(name: str, given: object, allowed: Collection[str], variable: Callable[[], str]) -> str:
    if given is None:
        return variable()
    if given not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {given!r}")
    return str(given)


def _text(name: str, text: str) -> str:
    check_type(name, text, str)
    return text


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, not a {type(timeout).__name__}")
    if not 0.0 < timeout < 86400.0:
        raise ValueError(f"timeout must be above 0 and below a day, not {timeout!r}")
    return float(timeout)
