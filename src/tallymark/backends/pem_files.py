"""PEM files: certificates of whom to trust, and our own with its key."""

from __future__ import annotations

import ssl

__all__ = ["check_authority", "check_pair", "read_pem", "trusting"]


def read_pem(path: str) -> bytes:
    """Return a PEM file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no PEM file.
    """
    with open(path, "rb") as file:
        text = file.read(2**20)
    if b"-----BEGIN " not in text:
        raise ValueError(f"{path} is no PEM file, in which a line begins with -----BEGIN")
    return text


def trusting(path: str) -> ssl.SSLContext:
    """Return what trusts those alone whose certificates are in a file, or are signed by these.

    Raises:
        OSError: it cannot be read.
        ValueError: there is no certificate in it.
    """
    check_authority(path)
    return ssl.create_default_context(cafile=path)


def check_authority(path: str) -> None:
    """Raise an error that names a file which has no certificate of whom to trust.

    Raises:
        OSError: it cannot be read.
        ValueError: there is none in it.
    """
    read_pem(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise ValueError(f"{path} has no certificate that can be read ({error.reason or 'OpenSSL cannot read it'})") from None


def check_pair(key: str, own: str) -> None:
    """Raise an error that names files which are not a key and its certificate.

    Raises:
        OSError: one of them cannot be read.
        ValueError: they do not fit together, or the key is encrypted.
    """

    def ask() -> str:  # OpenSSL would ask the terminal
        raise ValueError(f"{key} is encrypted: give a key without a password")

    for path in (key, own):
        read_pem(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(own, key, ask)
    except ssl.SSLError as error:
        reason = error.reason or "OpenSSL cannot read it"
        raise ValueError(f"{key} is no key that fits the certificate {own} ({reason})") from None
