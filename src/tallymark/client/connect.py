"""Connections to servers, open by a deadline; and words for why there is none."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from http.client import IncompleteRead
from typing import TYPE_CHECKING, Any

from tallymark.client.lookup import lookup
from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from tallymark.client.address import Address
    from tallymark.client.deadline import Deadline

__all__ = ["connect", "connect_socket", "trouble"]


def connect(address: Address, deadline: Deadline, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Return a connection to a server, with TLS for `https://`.

    Args:
        address: where to.
        deadline: when it must be open.
        tls: None: certificates are verified as the system does it.

    Raises:
        OSError: there is none; `trouble` has words for it.
    """
    sock = _open_first(lookup(address.host, address.port, deadline), deadline)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.scheme == "https":
            context = tls or ssl.create_default_context()
            sock = context.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
            _shake_hands(sock, deadline)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_first(found: list[Any], deadline: Deadline) -> socket.socket:
    """Return a connection to the first address that can be reached; each gets its share of the time."""
    failed: OSError | None = None
    for left, (family, kind, protocol, _, where) in zip(range(len(found), 0, -1), found, strict=True):
        sock = socket.socket(family, kind, protocol)
        try:
            connect_socket(sock, where, deadline.share(left))
        except OSError as error:
            failed = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    deadline.left()
    raise failed or OSError("the host has no address")


def connect_socket(sock: socket.socket, where: Any, deadline: Deadline) -> None:
    """Connect a socket of TCP, which does not block from then on.

    Raises:
        OSError: that failed; `TimeoutError` if it is not done by the deadline, which may be moved meanwhile.
    """
    sock.setblocking(False)
    error = sock.connect_ex(where)
    if error in (errno.EINPROGRESS, errno.EAGAIN):
        opening = select.poll()
        opening.register(sock, select.POLLOUT)
        while not opening.poll(deadline.slice() * 1000):
            pass
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _shake_hands(sock: ssl.SSLSocket, deadline: Deadline) -> None:
    while True:
        sock.settimeout(deadline.slice())
        try:
            return sock.do_handshake()
        except TimeoutError:
            continue  # unless the deadline has passed


def trouble(address: Address, error: Exception) -> str:
    """Return what an error of the network or of HTTP means, and what to do: the end of a sentence about the server."""
    match error:
        case IncompleteRead():
            return "closed the connection before its page was complete; is it failing?"
        case ssl.SSLCertVerificationError():
            words = printable(error.verify_message.rstrip("."))
            return f"has a certificate that is not trusted ({words}); {_remedy(error.verify_code)}"
        case ssl.SSLError() if "_ALERT_" in str(error.reason):
            return f"refuses our TLS ({printable(str(error.reason))}); does it ask for a certificate of ours?"
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


def _remedy(code: int) -> str:
    """Return what to do about a certificate; codes are those of X509_STORE_CTX_get_error(3)."""
    match code:
        case 9:  # X509_V_ERR_CERT_NOT_YET_VALID
            return "is the clock of this machine right?"
        case 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            return "it must be renewed, unless the clock of this machine is wrong"
        case 62 | 64:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return "use a name that is in it"
    return "name the certificate of who issued it"
