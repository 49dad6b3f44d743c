"""`GRPCWire`: OTLP over gRPC. Importing this module imports grpcio, which the extra `otlp-grpc` installs.

Source: https://opentelemetry.io/docs/specs/otlp/, section "OTLP/gRPC".
"""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tallymark.metric.shared.printable import printable
from tallymark.report.errors import SendError, TooLargeError
from tallymark.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tallymark.client.address import Address
    from tallymark.client.deadline import Deadline

__all__ = ["GRPCWire"]

_EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
_LATER = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
"""What may be sent again. Of `RESOURCE_EXHAUSTED`, only that of a server which tells when."""
_TOO_LARGE = re.compile(r"larger than max|exceeds maximum size|message length too large", re.IGNORECASE)
"""What servers in Go and C, in Java, and in Rust say to messages that are larger than they take."""
_OUR_WORDS = "CLIENT:"
"""What is in the words of grpcio itself, such as of an answer that is too large."""
_LONGEST_WAIT = 3600.0

for _name in ("grpc._channel", "grpc.experimental"):  # which grpcio imports when it opens a channel: in the reporters' thread
    with suppress(ImportError):  # a fork would leave them half imported in the child, where that import never ends
        import_module(_name)


class GRPCWire:
    """Sends messages to one server. For one thread at a time.

    A channel is opened by the first message, and again after one that failed, since gRPC's own waits would add to ours.

    Args:
        address: of the server.
        headers: metadata of every request.
        certificates: PEM texts for `https://`: whom to trust, our key, our certificate.
        compression: `none`, or `gzip`.
    """

    def __init__(
        self,
        address: Address,
        headers: Mapping[str, str],
        certificates: tuple[bytes | None, bytes | None, bytes | None],
        compression: str,
    ) -> None:
        self._address = address
        own = {"authorization": address.credentials} if address.credentials else {}
        self._metadata = tuple({**own, **{name.lower(): value for name, value in headers.items()}}.items())
        self._certificates = certificates
        self._compression = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        self._channel: Any = None

    def send(self, message: bytes, deadline: Deadline) -> tuple[bytes, int]:
        """Return the server's answer, and the size of the message.

        Raises:
            TooLargeError: it was too much at once.
            SendError: it was not taken, or nobody knows.
        """
        try:
            return self._asked(message, deadline), len(message)
        except TimeoutError:
            self.close()
            raise SendError(f"{self._address.url} has not answered in time; is it overloaded?") from None
        except grpc.RpcError as error:
            self.close()
            raise self._failure(error) from None
        except BaseException:
            self.close()
            raise

    def _asked(self, message: bytes, deadline: Deadline) -> bytes:
        seconds = deadline.left()
        if self._channel is None:
            self._channel = self._open()
        call = self._channel.unary_unary(_EXPORT).future(message, timeout=seconds, metadata=self._metadata)
        while True:  # the deadline may be moved meanwhile
            try:
                answer: bytes = call.result(timeout=deadline.slice())
                return answer
            except grpc.FutureTimeoutError:
                continue

    def _open(self) -> Any:
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        options = [("grpc.primary_user_agent", f"tallymark/{__version__}")]
        chosen: dict[str, Any] = {"options": options, "compression": self._compression}
        if self._address.scheme == "http":
            return grpc.insecure_channel(f"{host}:{self._address.port}", **chosen)
        return grpc.secure_channel(f"{host}:{self._address.port}", grpc.ssl_channel_credentials(*self._certificates), **chosen)

    def _failure(self, error: Any) -> SendError:
        code: str = error.code().name
        words = printable(str(error.details() or "")[:300].strip(" \t\r\n."))
        message = f"{self._address.url} answers {code}{': ' if words else ''}{words}{_remedy(code)}"
        after = _delay(error)
        is_theirs = _OUR_WORDS not in words
        if code in ("RESOURCE_EXHAUSTED", "OUT_OF_RANGE") and is_theirs and _TOO_LARGE.search(words):
            return TooLargeError(message)
        again = code in _LATER or (code == "RESOURCE_EXHAUSTED" and after is not None)
        return SendError(message, again=again, after=after or 0.0)

    def close(self) -> None:
        """Close the channel."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def forget(self) -> None:
        """In a forked child: give up the parent's channel, whose threads are not here. It is never freed, as that may hang."""
        if self._channel is not None:
            _forgotten.append(self._channel)
            self._channel = None


_forgotten: list[Any] = []


def _remedy(code: str) -> str:
    match code:
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            return ". Are the credentials right?"
        case "UNIMPLEMENTED":
            return ". Does OTLP over gRPC listen there?"
        case "UNAVAILABLE":
            return ". Is it running, and are the port and the scheme right?"
        case "DEADLINE_EXCEEDED":
            return ". Is it overloaded?"
    return ""


def _delay(error: Any) -> float | None:
    """Return the seconds that a server asks for, an hour at most; None if it asks for none."""
    details = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    try:
        for detail in [one for text in details for one in Status.FromString(text).details]:
            if detail.Is(RetryInfo.DESCRIPTOR):
                asked = RetryInfo.FromString(detail.value).retry_delay
                return float(min(max(asked.seconds + asked.nanos / 1e9, 0.0), _LONGEST_WAIT))
    except (DecodeError, TypeError):
        pass
    return None
