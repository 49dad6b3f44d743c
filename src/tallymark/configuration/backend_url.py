"""`backend_of`: a backend, from a URL that tells which one, where it is, and its options."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from tallymark import backends
from tallymark.configuration.errors import ConfigurationError
from tallymark.configuration.forms import SCHEMES
from tallymark.configuration.values import as_pairs, near
from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from tallymark.configuration.forms import Form
    from tallymark.report.backend import Backend

__all__ = ["Asked", "backend_of", "shown", "split_urls"]

_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+._-]*:(?://|-))")
_HEADER, _QUERY = "header.", "query."
"""What begins the options that stand for a field of each request, and for a part of the URL's own query."""
_HTTP = ("http", "https")


class Asked(NamedTuple):
    """A backend, and how often it wants a report.

    Attributes:
        every: seconds; None: as others.
    """

    backend: Backend
    every: float | None


def split_urls(text: str) -> list[str]:
    """Return the URLs of a text, which has commas or spaces between them."""
    return [one.strip(", \t\r\n") for one in _BETWEEN.split(text) if one.strip(", \t\r\n")]


def shown(url: str) -> str:
    """Return a URL for people: without user, password and options, any of which may be secret."""
    scheme, found, rest = url.partition(":")
    place = re.sub(r"^(/*).*@", r"\1", rest.partition("?")[0], flags=re.DOTALL)
    return printable(f"{scheme}:{place}"[:120]) if found else "…"


def backend_of(url: str, tags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Asked:
    """Return the backend that a URL means, such as `statsd://127.0.0.1:8125?prefix=shop.`.

    Args:
        url: `SCHEME://HOST:PORT/PATH?OPTION=VALUE&…`; `FORMS` has all of them.
        tags: for all series; those of the URL win.
        environ: the variables of OTLP; None: those of the process.

    Raises:
        ConfigurationError: nobody knows such a URL, or such an option or value; the message tells what is allowed.
        ImportError: an extra is not installed.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in SCHEMES:
        known = f"there are {', '.join(SCHEMES)}"
        raise ConfigurationError(f"no backend is called {_name(scheme)}{near(scheme, SCHEMES)}; {known}")
    form, wire = SCHEMES[scheme]
    try:
        parts = urlsplit(url)
        options = _options(parts, form)
        every = options.pop("every", None)
        options["tags"] = {**(tags or {}), **options.get("tags", {})}
        if form.backend == "OTLP" and environ is not None:
            options["environ"] = environ
        return Asked(_made(form, wire, parts, options), every)
    except ImportError:
        raise
    except (ValueError, TypeError, OSError) as error:
        wrong = str(error).partition(": write it as ")[0]  # which is for addresses in code
        raise ConfigurationError(f"{shown(url)}: {wrong}; it is written as {form.example}") from None


def _name(text: str) -> str:
    """Return what should be a name, for people; of what cannot be one, which may be a secret, nothing."""
    return repr(text) if re.fullmatch(r"[A-Za-z0-9_.+-]{0,40}", text) else "'…'"


def _options(parts: SplitResult, form: Form) -> dict[str, Any]:
    """Return the options of a URL as their backend takes them; those that begin so are under these beginnings."""
    found: dict[str, Any] = {_HEADER: {}, _QUERY: {}}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        beginning = next((one for one in _beginnings(form) if name.startswith(one)), "")
        if beginning:
            found[beginning][name.removeprefix(beginning)] = text
            continue
        option, dot, key = name.partition(".")
        if dot and key and form.options.get(option) is as_pairs:
            found.setdefault(option, {})[key] = text
            continue
        if name not in form.options:
            known = [*sorted(form.options), *[f"{one}NAME" for one in _beginnings(form)]]
            raise ConfigurationError(f"has no option {_name(name)}{near(name, form.options)}; there are {', '.join(known)}")
        try:
            value = form.options[name](text)
        except ConfigurationError as error:
            raise ConfigurationError(f"its option {name} {error}") from None
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return found


def _beginnings(form: Form) -> tuple[str, ...]:
    """Return what options may begin with. The URLs of the other backends over HTTP are those of servers alone."""
    if form.backend in ("OTLP", "RemoteWrite"):
        return _HEADER, _QUERY
    return (_HEADER,) if _has_http(form) else ()


def _has_http(form: Form) -> bool:
    return "http" in form.wires


def _made(form: Form, wire: str, parts: SplitResult, options: dict[str, Any]) -> Backend:
    missing = [name for name in form.needs if name not in options]
    if missing:
        raise ConfigurationError(f"needs the option {' and '.join(missing)}")
    headers, query = options.pop(_HEADER), options.pop(_QUERY)
    token = options.pop("token", None) if form.backend != "InfluxDB" else None
    if "ca" in options:
        options |= _trusted(form, parts.scheme, options.pop("ca"))
    if form.backend == "OTLP":
        options["protocol"] = "grpc" if wire.startswith("grpc") else "http/protobuf"
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
    elif token is not None:
        options["auth"] = token
    if headers:
        options["headers"] = headers
    make: Any = getattr(backends, form.backend)
    backend: Backend = make(_place(form, wire, parts, query), **options)
    return backend


def _trusted(form: Form, scheme: str, path: str) -> dict[str, Any]:
    """Return whom to trust, as a backend takes it."""
    if not scheme.endswith("s"):
        raise ConfigurationError(f"its option ca is for TLS: begin the URL with {scheme}s://")
    if form.backend == "OTLP":
        return {"certificate": path}
    from tallymark.backends.pem_files import trusting

    return {"tls": trusting(path)}


def _place(form: Form, wire: str, parts: SplitResult, query: Mapping[str, str]) -> Any:
    """Return where a backend is, as its class takes it."""
    if form.backend in ("TextFile", "JSONLines"):
        if form.backend == "JSONLines" and parts.path == "-" and not parts.netloc:
            return sys.stdout
        if parts.netloc or not parts.path.startswith("/"):
            raise ConfigurationError("takes an absolute path, after three slashes")
        return parts.path
    if "@" in parts.netloc and not _has_http(form):
        raise ConfigurationError("takes no user and no password")
    if not parts.netloc and not wire.startswith("unix"):
        raise ConfigurationError("names no host")
    begins = f"{form.wires[wire]}://" if form.wires[wire] else ""
    ends = f"?{urlencode(query)}" if query else ""
    path = parts.path if wire or parts.path != "/" else ""
    return f"{begins}{parts.netloc}{path}{ends}"
