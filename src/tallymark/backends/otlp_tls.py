"""`Certificates`: whom to trust, and who we are: for HTTP as a context of `ssl`, for gRPC as PEM texts."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from tallymark.backends.otlp_variables import read_pem
from tallymark.frozen import Frozen
from tallymark.log import logger
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tallymark.backends.otlp_variables import Variables

__all__ = ["Certificates"]

_NAMES = {"certificate": "CERTIFICATE", "client_key": "CLIENT_KEY", "client_certificate": "CLIENT_CERTIFICATE"}


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
            ValueError: both are given, or a key without its certificate, or the other way round.
        """
        if tls is not None:
            check_type("tls", tls, ssl.SSLContext)
            named = [name for name, path in given.items() if path is not None]
            if named:
                raise ValueError(f"give tls, or {named[0]}, not both")
            return cls(None, None, None, tls)
        paths = {name: variables.file(_NAMES[name]) if path is None else os.fspath(path) for name, path in given.items()}
        key, own = paths["client_key"], paths["client_certificate"]
        if (key is None) != (own is None):
            if given["client_key"] is not None or given["client_certificate"] is not None:
                raise ValueError("client_key and client_certificate belong together: one of them is missing")
            logger().warning("of OTEL_EXPORTER_OTLP_CLIENT_KEY and ..._CLIENT_CERTIFICATE one is missing; neither is used")
            key = own = None
        return cls(paths["certificate"], key, own, None)

    def context(self) -> ssl.SSLContext | None:
        """Return what HTTP takes; None: as the system does it.

        Raises:
            OSError: a file cannot be read, or its certificate or key cannot be used.
            ValueError: it is no PEM file.
        """
        for path in filter(None, (self.certificate, self.client_key, self.client_certificate)):
            read_pem(path)  # for an error that names it
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
            OSError: a file cannot be read.
        """
        if self.tls is not None:
            raise ValueError("tls cannot be used with gRPC: give certificate, client_key and client_certificate")
        return _read(self.certificate), _read(self.client_key), _read(self.client_certificate)


def _read(path: str | None) -> bytes | None:
    return None if path is None else read_pem(path)
