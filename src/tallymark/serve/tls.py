"""`TLS`: the certificate that the endpoint shows, and whose certificates clients need."""

from __future__ import annotations

import os
import re
import ssl

from tallymark.log import logger

TYPE_CHECKING = False
if TYPE_CHECKING:
    Path = str | os.PathLike[str]
    Stamp = tuple[tuple[int, int, int], ...]

__all__ = ["TLS"]

_CERTIFICATE = re.compile(rb"^-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----", re.MULTILINE)
_KEY = re.compile(rb"^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----", re.MULTILINE)


class TLS:
    """The files that `serve(tls=...)` needs for HTTPS. TLS 1.2 is the oldest version that is spoken.

    The files are read at once, and again when they have changed, so that a renewed certificate is used without a restart. If
    they cannot be read then, that is logged, and the last good ones stay in use.

    Args:
        cert: the file of the server's certificate, in PEM format; those that lead to its authority follow in it.
        key: the file of its private key, in PEM format.
        client_ca: a file of certificates, in PEM format. If given, all clients must have a certificate that one of them signed;
            without one, they get no answer.
        password: of the private key, if that is encrypted.

    Raises:
        OSError: a file cannot be read. Like all messages here, it names the file.
        TypeError: an argument is of the wrong type.
        ValueError: a file is not what it should be: no certificate, no key, the key of another certificate, or encrypted with
            another password.
    """

    __slots__ = ("_cert", "_client_ca", "_context", "_key", "_password", "_stamp")

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None, *, password: str | None = None) -> None:
        self._cert = _path("cert", cert)
        self._key = _path("key", key)
        self._client_ca = None if client_ca is None else _path("client_ca", client_ca)
        if not (password is None or isinstance(password, str)):
            raise TypeError(f"password must be a str, not {type(password).__name__}")
        self._password = password
        self._stamp = self._stamp_of_files()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection: a new one, if the files have changed and are good."""
        stamp = self._stamp_of_files()
        if stamp != self._stamp:
            self._stamp = stamp
            self._reload()
        return self._context

    def __repr__(self) -> str:
        client_ca = "" if self._client_ca is None else f", client_ca={self._client_ca!r}"
        return f"TLS(cert={self._cert!r}, key={self._key!r}{client_ca})"

    def _stamp_of_files(self) -> Stamp:
        """Return what changes whenever a file does."""
        return tuple([_stamp(path) for path in (self._cert, self._key, self._client_ca) if path is not None])

    def _reload(self) -> None:
        try:
            self._context = self._load()
        except (OSError, ValueError) as error:
            logger().error("the metrics endpoint goes on with the certificate that it has, as %s", error)

    def _load(self) -> ssl.SSLContext:
        """Return a context made from the files as they are now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        self._load_certificate(context)
        if self._client_ca is not None:
            self._load_authorities(context, self._client_ca)
        return context

    def _load_authorities(self, context: ssl.SSLContext, path: str) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        if not _CERTIFICATE.search(_read("client_ca", path)):
            raise _fault("client_ca", path, "has no certificate in PEM format")
        try:
            context.load_verify_locations(path)
        except ssl.SSLError as error:
            raise _fault("client_ca", path, "has a damaged certificate") from error

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        cert, key = _read("cert", self._cert), _read("key", self._key)
        if not _CERTIFICATE.search(cert):
            swapped = "; it has a private key: are cert and key in the wrong order?" if _KEY.search(cert) else ""
            raise _fault("cert", self._cert, f"has no certificate in PEM format{swapped}")
        if not _KEY.search(key):
            raise _fault("key", self._key, "has no private key in PEM format")
        try:
            context.load_cert_chain(self._cert, self._key, self._given_password)
        except ssl.SSLError as error:
            raise self._explained(error, is_encrypted=b"ENCRYPTED" in key) from error

    def _given_password(self) -> str:
        """Answer OpenSSL, which would else ask at the terminal."""
        if self._password is None:
            raise _fault("key", self._key, "is encrypted; give its password with tm.TLS(..., password=...)")
        return self._password

    def _explained(self, error: ssl.SSLError, *, is_encrypted: bool) -> ValueError:
        """Return an error that names the file that is at fault, where OpenSSL names none."""
        if error.reason == "KEY_VALUES_MISMATCH":
            return _fault("key", self._key, f"is not the key of the certificate in {self._cert!r}")
        if error.reason:  # such as EE_KEY_TOO_SMALL
            return _fault("cert", self._cert, f"cannot be used: {_reason(error)}")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(self._cert)
        except ssl.SSLError:
            return _fault("cert", self._cert, "has a damaged certificate")
        return _fault("key", self._key, "cannot be decrypted; is the password right?" if is_encrypted else "has a damaged key")


def _path(name: str, path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name} must be the path of a file, not {type(path).__name__}")
    return os.path.abspath(os.fsdecode(path))  # a daemon may go to another folder before the file changes


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    # Not the time of its content, which stays when the file may at last be read: after a chown, say.
    return (found.st_ino, found.st_ctime_ns, found.st_size)


def _read(name: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error.strerror
        raise type(error)(error.errno, f"the file of {name}, {path!r}, cannot be read: {reason}") from error


def _fault(name: str, path: str, fault: str) -> ValueError:
    return ValueError(f"the file of {name}, {path!r}, {fault}")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
