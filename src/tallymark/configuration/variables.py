"""The variables `TALLYMARK_…`: what each takes, and what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tallymark.configuration.errors import ConfigurationError
from tallymark.configuration.values import as_flag, as_list, as_pairs, as_seconds, as_secret, near
from tallymark.metric.shared.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["VARIABLES", "Read", "Variable", "read_variables"]

_PREFIX = "TALLYMARK_"
_ELSEWHERE = frozenset(("TALLYMARK_ENGINE", "TALLYMARK_CFLAGS", "TALLYMARK_LDFLAGS"))
"""What other parts of the library and its build read."""
_SECRETS = ("TALLYMARK_SERVE_USER", "TALLYMARK_SERVE_TOKEN")


class Variable(NamedTuple):
    """One variable.

    Attributes:
        takes: what may be written.
        meaning: what it asks for.
        read: makes of its text what it means.
        is_secret: True if its value is never shown.
    """

    name: str
    takes: str
    meaning: str
    read: Callable[[str], Any]
    is_secret: bool = False


def _address(text: str) -> tuple[str, int] | None:
    """Return host and port, None for neither. A port alone is on this machine."""
    if text.lower() in ("off", "false", "no", "0"):
        return None
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port[:6]) <= 65535):
        raise ConfigurationError("takes HOST:PORT, such as 0.0.0.0:9464, :9464 for this machine alone, or off")
    return host.strip("[]") or "127.0.0.1", int(port)


VARIABLES = (
    Variable(
        "TALLYMARK_SERVE", "`HOST:PORT`, `:PORT`, `off`",
        "Serve the metrics there. `:9464` is `127.0.0.1:9464`; `0.0.0.0:9464` is for other machines too.", _address,
    ),
    Variable("TALLYMARK_SERVE_USER", "`NAME:PASSWORD`, `@FILE`", "Ask who reads for a user and a password.", as_secret, True),
    Variable("TALLYMARK_SERVE_TOKEN", "`TOKEN`, `@FILE`", "Ask who reads for a bearer token.", as_secret, True),
    Variable("TALLYMARK_SERVE_CERT", "`PATH`", "Serve HTTPS, with this certificate.", str),
    Variable("TALLYMARK_SERVE_KEY", "`PATH`", "The key of the certificate.", str),
    Variable("TALLYMARK_SERVE_HOSTS", "`NAME,NAME`", "Further names by which clients ask for the endpoint.", as_list),
    Variable("TALLYMARK_REPORT", "`URL, URL, …`", "Report to these backends.", str, True),
    Variable("TALLYMARK_REPORT_EVERY", "`SECONDS`", "Time between two reports; 10 by default.", as_seconds),
    Variable("TALLYMARK_TAGS", "`KEY=VALUE,…`", "Tags for all series that are reported.", as_pairs),
    Variable(
        "TALLYMARK_HOST_TAGS", "`true`, `false`",
        "Tag all series that are reported with the host, its region, zone and namespace. To OTLP, the resource tells them.",
        as_flag,
    ),
    Variable(
        "TALLYMARK_HOST_METRICS", "`true`, `false`", "Show the host: `host_info`, `target_info`, CPUs and limits.", as_flag
    ),
    Variable(
        "TALLYMARK_PROCESS_METRICS", "`true`, `false`",
        "Show the process: CPU time, memory, descriptors, threads, garbage collection.", as_flag,
    ),
)  # fmt: skip
"""All of them, in the order of the documentation."""


class Read(NamedTuple):
    """What the variables ask for.

    Attributes:
        asked: by the names of the variables, in lower case, without their beginning.
        problems: a line for each variable that is not understood.
        broken: the names of these variables.
    """

    asked: dict[str, Any]
    problems: list[str]
    broken: list[str]


def read_variables(environ: Mapping[str, str]) -> Read:
    """Return what is asked for. An empty variable asks for nothing, but that one without a secret is not understood."""
    known = {variable.name: variable for variable in VARIABLES}
    read = Read({}, [], [])
    for name in sorted(name for name in environ if name.startswith(_PREFIX) and name not in _ELSEWHERE):
        text = environ[name].strip()
        try:
            if name not in known:
                raise ConfigurationError(f"is not known{near(name, known)}; there are {', '.join(known)}")
            if text or known[name].name in _SECRETS:
                read.asked[name.removeprefix(_PREFIX).lower()] = _value(known[name], text)
        except ConfigurationError as error:
            read.problems.append(f"{printable(name[:80])} {error}")
            read.broken.append(name)
    return read


def _value(variable: Variable, text: str) -> Any:
    if not text:
        raise ConfigurationError("is empty; is what should be in it missing?")
    try:
        return variable.read(text)
    except ConfigurationError as error:
        raise error if variable.is_secret else ConfigurationError(f"is {printable(text[:80])!r}, but {error}") from None
