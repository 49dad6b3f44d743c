"""`Variables`: what the environment tells an exporter of OTLP. A value that cannot be used is logged, and its default taken.

Sources: OpenTelemetry's specification, "OpenTelemetry Protocol Exporter" and "Metrics Exporter - OTLP".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from tallymark.backends.pem_files import read_pem
from tallymark.client.address import Address
from tallymark.client.errors import AddressError
from tallymark.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["DEFAULT_TIMEOUT", "PROTOCOLS", "Variables", "address_of", "header_problem"]

PROTOCOLS = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
COMPRESSIONS = {"none": "none", "gzip": "gzip"}
TEMPORALITIES = {"cumulative": "cumulative", "delta": "delta", "lowmemory": "delta"}
"""`lowmemory` differs from `delta` for counters that are asked for their totals, which no registry tells from others."""

DEFAULT_TIMEOUT = 10.0
"""Seconds."""

_SHORT = 100
"""Milliseconds: a timeout below this was probably meant to be seconds, as OpenTelemetry's SDK for Python takes it."""

_OURS = ("content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding", "user-agent")
"""Header fields that a request has anyway."""


class Variables:
    """The variables `OTEL_EXPORTER_OTLP_…`; of each, the one for metrics wins. Empty is not set.

    Args:
        environ: all variables.

    Attributes:
        problems: a line for each that cannot be used, as it was logged.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def note(self, problem: str) -> None:
        """Log what is wrong with a variable, without its value if that may be secret."""
        self.problems.append(problem)
        logger().warning("%s", problem)

    def _warn(self, name: str, problem: str, default: str) -> None:
        self.note(f"{name} {problem}; taken instead: {default}")

    def _find(self, name: str) -> tuple[str, str]:
        """Return the name and the value of the variable that is set; its value is empty if none is."""
        for full in (f"OTEL_EXPORTER_OTLP_METRICS_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
            value = self._environ.get(full, "").strip()
            if value:
                return full, value
        return full, ""

    def _choice(self, name: str, allowed: Mapping[str, str], default: str) -> str:
        full, value = self._find(name)
        if value and value.lower() not in allowed:
            self._warn(full, f"is {value[:40]!r}, but {_listed(allowed)} can be used", default)
        return allowed.get(value.lower(), default)

    def protocol(self) -> str:
        """Return `http/protobuf`, or `grpc`."""
        return self._choice("PROTOCOL", PROTOCOLS, "http/protobuf")

    def compression(self) -> str:
        """Return `none`, or `gzip`."""
        return self._choice("COMPRESSION", COMPRESSIONS, "none")

    def temporality(self) -> str:
        """Return `cumulative`, or `delta`."""
        full = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        value = self._environ.get(full, "").strip()
        if value and value.lower() not in TEMPORALITIES:
            self._warn(full, f"is {value[:40]!r}, but {_listed(TEMPORALITIES)} can be used", "cumulative")
        return TEMPORALITIES.get(value.lower(), "cumulative")

    def timeout(self) -> float:
        """Return the seconds that one request may take. The variable has milliseconds."""
        full, value = self._find("TIMEOUT")
        if not value:
            return DEFAULT_TIMEOUT
        if not (value.isascii() and value.isdigit() and int(value[:10]) > 0):
            allowed = "must be a number of milliseconds, such as 10000"
            self._warn(full, f"is {value[:40]!r}, but {allowed}", f"{DEFAULT_TIMEOUT:g} s")
            return DEFAULT_TIMEOUT
        if int(value[:10]) < _SHORT:
            logger().warning("%s is %s: that is in milliseconds, and few servers answer in that time", full, value)
        return int(value[:10]) / 1000.0

    def file(self, name: str, check: Callable[[str], object] = read_pem) -> str | None:
        """Return the path that a variable has: of `CERTIFICATE`, `CLIENT_KEY` or `CLIENT_CERTIFICATE`; None if it has none.

        Args:
            check: raises `OSError` or `ValueError` for a file that cannot be used.
        """
        full, value = self._find(name)
        try:
            if value:
                check(value)
        except (OSError, ValueError) as error:
            self._warn(full, f"cannot be used: {error}", "none")
            return None
        return value or None

    def headers(self) -> dict[str, str]:
        """Return header fields: `name=value`, separated by commas; values have percent codes."""
        full, text = self._find("HEADERS")
        found: dict[str, str] = {}
        for pair in filter(None, [one.strip() for one in text.split(",")]):
            name, equals, value = pair.partition("=")
            name, value = unquote(name).strip().lower(), unquote(value).strip()
            problem = header_problem(name, value) if equals else "a header is written as name=value"
            if problem:  # of which no value is shown: it may be secret
                self._warn(full, f"has a header that cannot be sent: {problem}", "the others")
            else:
                found[name] = value
        return found

    def check_resource(self) -> None:
        """Note what `OTEL_RESOURCE_ATTRIBUTES` has that is no attribute, and is left out."""
        name = "OTEL_RESOURCE_ATTRIBUTES"
        for pair in filter(None, [one.strip() for one in self._environ.get(name, "").split(",")]):
            key, equals, _ = pair.partition("=")
            if not (key.strip() and equals):
                self._warn(name, f"has {pair[:40]!r}, but an attribute is written as key=value", "the others")

    def address(self, protocol: str) -> Address:
        """Return where reports go. The general variable has a base, to which `/v1/metrics` is appended; but not for gRPC."""
        full, text = self._find("ENDPOINT")
        default = "http://localhost:4317" if protocol == "grpc" else "http://localhost:4318/v1/metrics"
        if not text:
            return Address.parse(default)
        if protocol == "grpc" and "://" not in text:
            text = f"{'http' if self._is_insecure() else 'https'}://{text}"
        try:
            address = Address.parse(text)
        except AddressError as error:
            self._warn(full, f"cannot be used: {error}", default)
            return Address.parse(default)
        if protocol == "grpc":
            return address.at("")
        path, mark, query = address.target.partition("?")
        return address if full.endswith("METRICS_ENDPOINT") else address.at(f"{path.rstrip('/')}/v1/metrics{mark}{query}")

    def _is_insecure(self) -> bool:
        """Return True if an address of gRPC that has no scheme means one without TLS."""
        return self._choice("INSECURE", {"true": "true", "false": "false"}, "false") == "true"


def address_of(url: str, protocol: str) -> Address:
    """Return the address that an argument means. Without a path it is that of the protocol: `/v1/metrics`, or none for gRPC.

    Raises:
        AddressError: it is not the URL of an HTTP server, or has a path with gRPC.
    """
    address = Address.parse(url)
    if protocol != "grpc":
        return address if address.target not in ("", "/") else address.at("/v1/metrics")
    if address.target not in ("", "/"):
        raise AddressError(f"{address.url} has a path, and gRPC has none. Write it as http://HOST:4317, or use http/protobuf")
    return address.at("")


def header_problem(name: str, value: str) -> str:
    """Return why a header field cannot be sent; empty if it can. The value is not in it."""
    if not name or not all(one.isascii() and (one.isalnum() or one in "-_.") for one in name):
        return f"{name[:40]!r} is not the name of a header"
    if name.lower() in _OURS or name.lower().startswith("grpc-") or name.lower().endswith("-bin"):
        return f"{name[:40]!r} is a header that cannot be chosen"
    if not (value.isascii() and value.isprintable()):
        return f"the value of {name[:40]!r} has characters that are not printable ASCII"
    return ""


def _listed(allowed: Iterable[str]) -> str:
    return " or ".join(map(repr, allowed))
