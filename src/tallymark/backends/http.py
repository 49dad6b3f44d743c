"""What all backends over HTTP have: a URL, fields of their own, credentials, certificates. All are checked when one is made."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from tallymark.client.address import Address, basic_credentials
from tallymark.client.http import HTTPClient
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Auth", "http_client", "http_fields"]

Auth: TypeAlias = tuple[str, str] | str
"""A user and a password, or a token."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AUTHORIZATION = "authorization"


def http_client(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    auth: Auth | None = None,
    tls: ssl.SSLContext | None = None,
) -> HTTPClient:
    """Return a client for the server of a backend. It connects when it is first used.

    Args:
        url: of the server; it may have a user and a password, `https://user:password@host/path`.
        headers: fields of each request, such as `X-Scope-OrgID`.
        auth: `(user, password)`, or the text of a token, which is sent as `Authorization: Bearer …`.
        tls: for `https://`; None: certificates are verified as the system does it.

    Raises:
        TypeError: one of them has another type.
        ValueError: one of them cannot be sent, or there are credentials in two places. It never shows a secret.
    """
    check_type("url", url, str)
    address = Address.parse(url)
    fields = http_fields(address, headers, auth)
    if tls is not None and not isinstance(tls, ssl.SSLContext):
        raise TypeError(f"tls must be an ssl.SSLContext, such as ssl.create_default_context(cafile=…), not {_type(tls)}")
    return HTTPClient(address, fields, tls)


def http_fields(address: Address, headers: Mapping[str, str] | None, auth: Auth | None) -> dict[str, str]:
    """Return the fields of each request: `headers`, and what `auth` becomes.

    Raises:
        TypeError: one of them has another type.
        ValueError: one of them cannot be sent, or there are credentials in two places.
    """
    fields = _checked_headers(headers)
    places = [
        *(["the URL"] if address.credentials else []),
        *(["headers"] if _AUTHORIZATION in map(str.lower, fields) else []),
        *(["auth"] if auth is not None else []),
    ]
    if len(places) > 1:
        raise ValueError(f"{address.url}: there are credentials in {' and in '.join(places)}; give them once")
    if auth is not None:
        fields["Authorization"] = _authorization(auth)
    return fields


def _authorization(auth: object) -> str:
    match auth:
        case (str(user), str(password)) if isinstance(auth, tuple):
            _check_secret("the user of auth", user)
            _check_secret("the password of auth", password, empty=True)
            if ":" in user:
                raise ValueError("the user of auth must not have a colon: in Basic authentication, the password begins there")
            return basic_credentials(user, password)
        case str(token):
            _check_secret("the token of auth", token)
            if not (token.isascii() and " " not in token):
                raise ValueError("the token of auth must be of ASCII characters, without spaces; give it without 'Bearer '")
            return f"Bearer {token}"
    if _type(auth) in ("BasicAuth", "BearerAuth"):
        raise TypeError(
            f"auth must be (user, password) or the text of a token: tm.{_type(auth)} is for who serves; it keeps only a digest"
        )
    raise TypeError(f"auth must be (user, password) or the text of a token, not {_type(auth)}")


def _checked_headers(headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping such as {{'X-Scope-OrgID': 'team'}}, not {_type(headers)}")
    for name, value in headers.items():
        check_type("each name of headers", name, str)
        check_type(f"the value of the header {name[:80]!r}", value, str)
        if not _NAME.fullmatch(name):
            raise ValueError(f"no header can be called {name[:80]!r}")
        if _cannot_be_sent(value, lambda text: text.encode("latin-1")):
            raise ValueError(f"the value of the header {name!r} has line breaks, control characters or no Latin-1 ones")
    return dict(headers)


def _check_secret(name: str, secret: str, *, empty: bool = False) -> None:
    """Raise an error for what can be no secret. It never shows it."""
    if not (secret or empty):
        raise ValueError(f"{name} must not be empty; is a variable or a file that it is read from missing?")
    if _cannot_be_sent(secret, str.encode):
        raise ValueError(
            f"{name} has line breaks or other characters that cannot be sent; if it is read from a file, .strip() it"
        )


def _cannot_be_sent(text: str, encode: Callable[[str], bytes]) -> bool:
    try:
        encode(text)
    except UnicodeEncodeError:
        return True
    return any(character < " " or character == "\x7f" for character in text)


def _type(value: object) -> str:
    return type(value).__name__
