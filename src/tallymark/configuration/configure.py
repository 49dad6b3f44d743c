"""`configure`: starts what a deployment asks for, in environment variables."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from tallymark.configuration.backend_url import Asked, backend_of, shown, split_urls
from tallymark.configuration.errors import ConfigurationError
from tallymark.configuration.opentelemetry_variables import read_standard
from tallymark.configuration.variables import read_variables
from tallymark.log import logger
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from tallymark.configuration.opentelemetry_variables import Standard
    from tallymark.report.reporter import Reporter
    from tallymark.serve.server import Server

__all__ = ["Configuration", "configure"]

_EVERY = 10.0


class _Closable(Protocol):
    def close(self) -> object: ...


class Configuration:
    """What was started; made by `configure`. As a context manager, it closes itself at the end.

    Attributes:
        server: that serves the metrics; None: none does.
        reporters: that report them.
        started: a line for each thing that was started, without secrets.
        problems: a line for each setting that is not understood or could not be followed, without secrets.
    """

    def __init__(self, registry: Registry) -> None:
        self.server: Server | None = None
        self.reporters: tuple[Reporter, ...] = ()
        self.started: tuple[str, ...] = ()
        self.problems: tuple[str, ...] = ()
        self._registry = registry

    def close(self) -> None:
        """Stop serving, and reporting after a last report. May be called again. `configure()` starts everything anew then."""
        with _lock:
            if _configured.get(self._registry) is self:
                del _configured[self._registry]
        self._registry.detach(self)
        closing: list[_Closable] = [*self.reporters, *([] if self.server is None else [self.server])]
        for one in closing:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Configuration: {'; '.join(self.started) or 'nothing was asked for'}>"


_lock = threading.RLock()
_configured: WeakKeyDictionary[Registry, Configuration] = WeakKeyDictionary()


def configure(
    registry: Registry | None = None, *, environ: Mapping[str, str] | None = None, strict: bool = False
) -> Configuration:
    """Start what the environment asks for: serve the metrics, report them, measure the process and the host.

        tm.configure()

    It reads `TALLYMARK_SERVE`, `TALLYMARK_REPORT` and others, and OpenTelemetry's standard variables. What was started is
    logged at INFO, to the logger `tallymark`. A setting that is not understood, or cannot be followed, is logged as an error
    with what is allowed; all else is started. Called again, it returns the same, and starts nothing.

    Args:
        registry: whose metrics; by default the current registry at the time of this call.
        environ: the variables to use, instead of `os.environ`.
        strict: raise for a setting that is not understood, before anything is started; and for one that cannot be followed.

    Raises:
        ConfigurationError: only where `strict`.
        TypeError: an argument is of the wrong type.
    """
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    with _lock:
        known = _configured.get(registry)
        if known is not None:
            return known
        made = _Starter(registry, os.environ if environ is None else environ, strict).configuration()
        _configured[registry] = made
        return made


class _Starter:
    """Starts what the variables ask for."""

    def __init__(self, registry: Registry, environ: Mapping[str, str], strict: bool) -> None:
        self._registry = registry
        self._environ = environ
        self._strict = strict
        self._asked, problems, self._broken = read_variables(environ)
        self._standard, others = read_standard(environ)
        self._problems = [*problems, *others]
        self._logged: list[str] = []
        self._started: list[str] = []

    def configuration(self) -> Configuration:
        """Start everything, and return what was started."""
        backends = list(self._backends())
        if self._strict and self._noted():
            raise ConfigurationError("; ".join(self._noted()))
        made = Configuration(self._registry)
        try:
            self._measure()
            is_ours = "serve" in self._asked
            self._try("TALLYMARK_SERVE" if is_ours else "OTEL_METRICS_EXPORTER: prometheus", lambda: self._serve(made))
            for asked in backends:
                self._try("TALLYMARK_REPORT", lambda asked=asked: self._report(made, asked))  # type: ignore[misc]
        except BaseException:
            made.close()
            raise
        made.started, made.problems = tuple(self._started), self._noted()
        self._registry.attach(made)
        self._tell()
        return made

    def _noted(self) -> tuple[str, ...]:
        """Return all problems; those of OTLP's variables, which the backend has logged, come last."""
        return tuple(dict.fromkeys([*self._problems, *self._logged]))

    def _tell(self) -> None:
        for problem in self._problems:
            logger().error("tm.configure(): %s", problem)
        logger().info("tm.configure(): %s", "; ".join(self._started) or "nothing was asked for")

    def _try(self, what: str, start: Callable[[], None]) -> None:
        """Start something; note what keeps it from that, or raise it where that is asked for."""
        try:
            start()
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            problem = f"{what} cannot be followed: {error}"
            if self._strict:
                raise ConfigurationError(problem) from error
            self._problems.append(problem)

    def _measure(self) -> None:
        if self._asked.get("process_metrics"):
            self._try("TALLYMARK_PROCESS_METRICS", self._measure_process)
        if self._asked.get("host_metrics"):
            self._try("TALLYMARK_HOST_METRICS", self._measure_host)

    def _measure_process(self) -> None:
        from tallymark.process import process_metrics

        process_metrics(self._registry)
        self._started.append("process metrics")

    def _measure_host(self) -> None:
        from tallymark.host import detect_host

        detect_host(environ=self._environ).inject(self._registry, target_info=True)
        self._started.append("host metrics")

    def _serve(self, made: Configuration) -> None:
        place = self._asked.get("serve", self._standard.serve)
        if place is None:
            return
        broken = [name for name in self._broken if name.startswith("TALLYMARK_SERVE")]
        if broken:  # it may have been meant to protect the metrics
            raise ConfigurationError(f"nothing is served, since {' and '.join(broken)} is not understood")
        from tallymark.serve.server import serve

        host, port = place
        made.server = serve(port, host, self._registry, hosts=self._asked.get("serve_hosts"), **self._security())
        self._started.append(f"serving {made.server.url}")

    def _security(self) -> dict[str, Any]:
        from tallymark.serve.auth import BasicAuth, BearerAuth
        from tallymark.serve.tls import TLS

        found: dict[str, Any] = {}
        user, token = self._asked.get("serve_user"), self._asked.get("serve_token")
        if user is not None and token is not None:
            raise ConfigurationError("TALLYMARK_SERVE_USER and TALLYMARK_SERVE_TOKEN are both set; clients can give one")
        if user is not None:
            name, colon, password = user.partition(":")
            if not colon:
                raise ConfigurationError("TALLYMARK_SERVE_USER takes NAME:PASSWORD")
            found["auth"] = BasicAuth(name, password)
        elif token is not None:
            found["auth"] = BearerAuth(token)
        files = [self._asked[name] for name in ("serve_cert", "serve_key") if name in self._asked]
        if len(files) == 1:
            raise ConfigurationError("TALLYMARK_SERVE_CERT and TALLYMARK_SERVE_KEY belong together; one of them is not set")
        if files:
            found["tls"] = TLS(*files)
        return found

    def _backends(self) -> Iterator[Asked]:
        """Yield what is reported to: each address once."""
        known: set[tuple[str, str]] = set()
        for is_ours, some in ((True, self._own_backends()), (False, self._standard_backends(self._standard))):
            for asked in some:
                place = asked.backend.kind, asked.backend.address
                if place not in known:
                    known.add(place)
                    self._logged += getattr(asked.backend, "problems", ())
                    yield asked
                elif is_ours:  # the others are the defaults of ours, too
                    self._problems.append(f"{' '.join(place)} is asked for twice, and reported to once")

    def _own_backends(self) -> Iterator[Asked]:
        for url in split_urls(self._asked.get("report", "")):
            try:
                yield backend_of(url, self._tags(url.partition("+")[0].partition(":")[0].lower()), self._environ)
            except ConfigurationError as error:
                self._problems.append(f"TALLYMARK_REPORT: {error}")
            except ImportError as error:
                self._problems.append(f"TALLYMARK_REPORT: {shown(url)}: {error}")

    def _standard_backends(self, standard: Standard) -> Iterator[Asked]:
        from tallymark import backends

        if standard.otlp:
            try:
                yield Asked(backends.OTLP(tags=self._tags("otlp"), environ=self._environ), standard.every)
            except (ImportError, OSError, ValueError) as error:
                self._problems.append(f"OTEL_METRICS_EXPORTER: otlp: {error}")
        if standard.console:
            yield Asked(backends.JSONLines(sys.stdout, tags=self._tags("jsonl")), standard.every)

    def _tags(self, name: str) -> dict[str, str]:
        host = {}
        if self._asked.get("host_tags") and name != "otlp":  # whose resource tells them
            from tallymark.host import detect_host

            host = detect_host(environ=self._environ).tags()
        return {**host, **self._asked.get("tags", {})}

    def _report(self, made: Configuration, asked: Asked) -> None:
        from tallymark.report.reporter import report_to

        every = asked.every or self._asked.get("report_every") or _EVERY
        made.reporters = (*made.reporters, report_to(asked.backend, every, self._registry))
        self._started.append(f"reporting to {asked.backend.kind} {asked.backend.address} every {every:g} s")
