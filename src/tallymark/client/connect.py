"""Connections to servers, open by a deadline; and words for why there is none."""

from __future__ import annotations

import socket
import ssl
from http.client import IncompleteRead
from typing import TYPE_CHECKING

from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from tallymark.client.address import Address
    from tallymark.client.deadline import Deadline

__all__ = ["connect", "trouble"]


def connect(address: Address, deadline: Deadline, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Return a connection to a server, with TLS for `https://`.

    Args:
        address: where to.
        deadline: when it must be open. (A name is looked up by the system, within limits of its own.)
        tls: None: certificates are verified as the system does it.

    Raises:
        OSError: there is none; `trouble` has words for it.
    """
    sock = socket.create_connection((address.host, address.port), timeout=deadline.left())
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.scheme == "https":
            sock.settimeout(deadline.left())
            context = tls or ssl.create_default_context()
            sock = context.wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise
    return sock


def trouble(address: Address, error: Exception) -> str:
    """Return what an error of the network or of HTTP means, and what to do: the end of a sentence about the server."""
    match error:
        case IncompleteRead():
            return "closed the connection before its page was complete; is it failing?"
        case ssl.SSLCertVerificationError():
            return f"has a certificate that is not trusted ({error.verify_message}); name the certificate of who issued it"
        case ssl.SSLError():
            return f"does not speak TLS ({printable(str(error.reason or error))}); try http://"
        case socket.gaierror():
            return f"cannot be reached: there is no host {printable(address.host)}"
        case ConnectionRefusedError():
            return "cannot be reached: nobody listens there; is the service running, and is the port right?"
        case ConnectionResetError() | BrokenPipeError():
            other = "http://" if address.scheme == "https" else "https://"
            return f"closed the connection without an answer; should it be {other}?"
        case OSError():
            return f"cannot be reached: {error.strerror or error}"
    what = printable(str(error).strip()[:80]) or type(error).__name__
    return f"does not answer in HTTP ({what}); is the port right?"
