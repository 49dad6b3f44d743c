"""`Certificates`: whom to trust, and who we are: for HTTP as a context of `ssl`, for gRPC as PEM texts."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from tallymark.backends.pem_files import check_authority, check_pair, read_pem
from tallymark.frozen import Frozen
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tallymark.backends.otlp_variables import Variables

__all__ = ["Certificates"]


class Certificates(Frozen):
    """The paths of PEM files, or a context instead of them."""

    __slots__ = ("certificate", "client_certificate", "client_key", "tls")

    certificate: str | None
    client_key: str | None
    client_certificate: str | None
    tls: ssl.SSLContext | None

    @classmethod
    def of(
        cls, given: Mapping[str, str | os.PathLike[str] | None], tls: ssl.SSLContext | None, variables: Variables
    ) -> Certificates:
        """Return what the arguments say, or the variables where there is no argument.

        Raises:
            TypeError: `tls` is no context.
            ValueError: both are given; a key without its certificate, or the other way round; a file cannot be used.
            OSError: a file cannot be read.
        """
        if tls is not None:
            check_type("tls", tls, ssl.SSLContext)
            named = [name for name, path in given.items() if path is not None]
            if named:
                raise ValueError(f"give tls, or {named[0]}, not both")
            return cls(None, None, None, tls)
        paths = {name: None if path is None else os.fspath(path) for name, path in given.items()}
        authority = paths["certificate"]
        if authority is None:
            authority = variables.file("CERTIFICATE", check_authority)
        else:
            check_authority(authority)
        key, own = _pair(paths["client_key"], paths["client_certificate"], variables)
        return cls(certificate=authority, client_certificate=own, client_key=key, tls=None)

    def context(self) -> ssl.SSLContext | None:
        """Return what HTTP takes; None: as the system does it."""
        if self.tls is not None or not (self.certificate or self.client_certificate):
            return self.tls
        context = ssl.create_default_context(cafile=self.certificate)
        if self.client_certificate:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context

    def texts(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Return what gRPC takes: whom to trust, our key, our certificate.

        Raises:
            ValueError: there is a context, which gRPC cannot use.
        """
        if self.tls is not None:
            raise ValueError("tls cannot be used with gRPC: give certificate, client_key and client_certificate")
        return _read(self.certificate), _read(self.client_key), _read(self.client_certificate)


def _read(path: str | None) -> bytes | None:
    return None if path is None else read_pem(path)


def _pair(key: str | None, own: str | None, variables: Variables) -> tuple[str | None, str | None]:
    """Return our key and our certificate. If both are those of the variables, what is wrong with them is noted there."""
    is_given = key is not None or own is not None
    key = variables.file("CLIENT_KEY") if key is None else key
    own = variables.file("CLIENT_CERTIFICATE") if own is None else own
    if key is None and own is None:
        return None, None
    try:
        if key is None or own is None:
            raise ValueError("client_key and client_certificate belong together: one of them is missing")
        check_pair(key, own)
    except (OSError, ValueError) as error:
        if is_given:
            raise
        variables.note(f"OTEL_EXPORTER_OTLP_CLIENT_KEY and ..._CLIENT_CERTIFICATE cannot be used: {error}; taken instead: none")
        return None, None
    return key, own
