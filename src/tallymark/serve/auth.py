"""Who may read the metrics: `BasicAuth`, `BearerAuth`, and the page for all others.

Sources: RFC 9110 (401, challenges), RFC 7617 (Basic), RFC 6750 (Bearer).

What a client sends is compared in a time that does not depend on the secret: both sides are hashed, so that they have one
length, and `hmac.compare_digest` looks at all of it. User and password are one text, so nobody learns which of them is wrong.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, TypeAlias

from tallymark.metric.validation import check_type
from tallymark.serve.accept import prefers_html
from tallymark.serve.pages import error_page

if TYPE_CHECKING:
    from tallymark.serve.pages import Page, PageRequest

__all__ = ["Auth", "BasicAuth", "BearerAuth", "check_auth", "refusal"]

_OPEN = frozenset(("/healthz",))
"""Paths that need no credentials: probes have none, and learn nothing but that somebody answers."""

_NO_TOKENS = "a browser cannot send a token. tm.BasicAuth(user, password) lets it ask for a name and a password"
"""Told to browsers, which have no other way to learn why nothing happens."""


class BasicAuth:
    """A user and a password that clients must give (`basic_auth` in the configuration of Prometheus).

    Only a digest of them is kept.

    Args:
        user: without a colon, which separates it from the password.
        password: any text. Clients send both in UTF-8.

    Raises:
        TypeError: one of them is not a `str`.
        ValueError: one of them is empty, or has characters that no client can send.
    """

    __slots__ = ("_digest",)

    challenge = 'Basic realm="metrics", charset="UTF-8"'
    """The `WWW-Authenticate` of the answer to those who gave nothing valid."""

    def __init__(self, user: str, password: str) -> None:
        _check_secret("user", user)
        _check_secret("password", password)
        if ":" in user:
            raise ValueError("user must not have a colon: in Basic authentication, that is where the password begins")
        self._digest = _digest_of(f"{user}:{password}".encode())

    def admits(self, authorization: str) -> bool:
        """Return True for an `Authorization` field, read as Latin-1, that has the user and the password."""
        try:
            given = binascii.a2b_base64(_credentials("basic", authorization), strict_mode=True)
        except binascii.Error:
            return False
        return _is_equal(given, self._digest)

    def __repr__(self) -> str:
        return "<BasicAuth>"


class BearerAuth:
    """A token that clients must give (`authorization` in the configuration of Prometheus).

    Only a digest of it is kept.

    Args:
        token: without spaces or line breaks.

    Raises:
        TypeError: it is not a `str`.
        ValueError: it is empty, or has characters that no client can send.
    """

    __slots__ = ("_digest",)

    challenge = 'Bearer realm="metrics"'
    """The `WWW-Authenticate` of the answer to those who gave nothing valid."""

    def __init__(self, token: str) -> None:
        _check_secret("token", token)
        if any(character.isspace() for character in token):
            raise ValueError("token must not have spaces; if it is read from a file, use .strip()")
        self._digest = _digest_of(token.encode())

    def admits(self, authorization: str) -> bool:
        """Return True for an `Authorization` field, read as Latin-1, that has the token."""
        return _is_equal(_credentials("bearer", authorization), self._digest)

    def __repr__(self) -> str:
        return "<BearerAuth>"


Auth: TypeAlias = BasicAuth | BearerAuth


def check_auth(auth: object) -> None:
    """Raise an error that shows the right call, unless `auth` is one of the two kinds, or None."""
    if not (auth is None or isinstance(auth, BasicAuth | BearerAuth)):
        raise TypeError(f"auth must be tm.BasicAuth(user, password) or tm.BearerAuth(token), not {type(auth).__name__}")


def refusal(auth: Auth | None, request: PageRequest) -> Page | None:
    """Return the page for a client that may not see what it asks for, or None if it may."""
    if auth is None or request.path in _OPEN or auth.admits(request.headers.get("authorization", "")):
        return None
    is_in_vain = isinstance(auth, BearerAuth) and prefers_html(request.headers.get("accept", ""))
    return error_page(401, ("WWW-Authenticate", auth.challenge), remedy=_NO_TOKENS if is_in_vain else "")


def _check_secret(name: str, secret: object) -> None:
    """Raise an error for what can be no secret. It never shows it."""
    check_type(name, secret, str)
    assert isinstance(secret, str)  # noqa: S101 - for the type checker
    if not secret:
        raise ValueError(f"{name} must not be empty; is a variable or a file that it is read from missing?")
    if any(character < " " or character == "\x7f" for character in secret):
        raise ValueError(
            f"{name} must not have line breaks or other control characters; if it is read from a file, use .strip()"
        )
    if any("\ud800" <= character <= "\udfff" for character in secret):
        raise ValueError(f"{name} has a lone surrogate, which UTF-8 cannot carry")


def _credentials(scheme: str, authorization: str) -> bytes:
    """Return what follows the scheme, as it was sent; nothing, which no secret is, if the scheme is another one."""
    found, _, rest = authorization.strip(" \t").partition(" ")
    # A server that does not read fields as Latin-1 gives us text that no client has sent.
    return rest.strip(" ").encode("latin-1", "replace") if found.lower() == scheme else b""


def _digest_of(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _is_equal(given: bytes, digest: bytes) -> bool:
    return hmac.compare_digest(_digest_of(given), digest)
