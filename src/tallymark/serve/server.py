"""`serve`: the metrics over HTTP, for Prometheus and all that read its text format.

Importing this module costs almost nothing: the first call of `serve` imports asyncio and the rest of the server.
"""

from __future__ import annotations

from tallymark.log import logger
from tallymark.metric import context
from tallymark.metric.registry import Registry
from tallymark.metric.validation import check_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from tallymark.metric.shared.role_lock import RoleLock
    from tallymark.serve.auth import Auth
    from tallymark.serve.endpoint import Endpoint
    from tallymark.serve.limits import Limits
    from tallymark.serve.tls import TLS

__all__ = ["Server", "serve"]

_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound to here
"""Hosts that mean all interfaces, and for each the host that a browser on this machine can open."""


def serve(
    port: int = 9464,
    host: str = "127.0.0.1",
    registry: Registry | None = None,
    *,
    hosts: Iterable[str] | None = None,
    tls: TLS | None = None,
    auth: Auth | None = None,
) -> Server:
    """Serve a registry's metrics at `http://host:port/metrics`, from a thread of its own, until the server is closed.

    At `http://host:port/` is a page that shows them live, in a browser; `/healthz` answers `ok` while the thread lives. Without
    `auth`, whoever reaches the port can read the metrics. A forked child does not serve; its parent goes on.

    Processes that share the registry may all call it, with the same arguments: one of them serves the metrics of all. When it
    ends, however it ends, or closes its server, another one takes over within a second. With `port=0`, each has its own.

    Args:
        port: the TCP port; 0 takes a free one, which `Server.port` holds.
        host: the address or name to listen on. `"0.0.0.0"` stands for all interfaces, in IPv4.
        registry: whose metrics; by default the current registry at the time of this call. Closing it closes the server too.
        hosts: further names by which clients may ask, such as `("metrics.example.org",)` behind a proxy that passes its
            clients' `Host` on; `"*"` stands for all. Other names get a status 403, so that no web page can read the metrics
            through a browser. Always allowed are IP addresses, `host`, the name of this machine, names without a dot, and names
            that end in `.localhost`, `.local` or `.internal`. By default, connections of other machines may use any name.
        tls: `tm.TLS(cert, key)` serves `https://`, and no plain HTTP.
        auth: `tm.BasicAuth(user, password)` or `tm.BearerAuth(token)`: what clients must give, but for `/healthz`. Without
            `tls` they send it as plain text: that is logged as a warning, if other machines can connect.

    Raises:
        OSError: the address cannot be used: the port is not permitted, or in use, but not by a process that shares the
            registry; or the host is unknown.
        RuntimeError: the system cannot start another thread.
        TypeError: an argument is of the wrong type.
        ValueError: `port` is not in 0..65535, or `host` or one of `hosts` is not a valid host.
    """
    if isinstance(port, bool):
        raise TypeError(f"port must be a number, not {port}; serve() takes port 9464, serve(0) a free one")
    check_type("port", port, int)
    check_type("host", host, str)
    registry = context.registry() if registry is None else registry
    check_type("registry", registry, Registry)
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be in 0..65535, not {port}")
    if not host:
        raise ValueError("host must not be empty; '0.0.0.0' stands for all interfaces")
    _check_security(tls, auth)
    return Server(port, host, registry, hosts=hosts, tls=tls, auth=auth)


def _check_security(tls: object, auth: object) -> None:
    if auth is not None:
        from tallymark.serve.auth import check_auth

        check_auth(auth)
    if tls is not None:
        from tallymark.serve.tls import TLS

        if not isinstance(tls, TLS):
            raise TypeError(f"tls must be tm.TLS(cert, key), not {type(tls).__name__}")


class Server:
    """An endpoint that is being served; made by `serve`. As a context manager, it closes itself at the end.

    Where another process of a shared registry serves the same, it waits to take over. Its URL is that of the other one.

    Attributes:
        host: the host that it listens on, as given to `serve`.
    """

    def __init__(
        self,
        port: int,
        host: str,
        registry: Registry,
        limits: Limits | None = None,
        hosts: Iterable[str] | None = None,
        tls: TLS | None = None,
        auth: Auth | None = None,
    ) -> None:
        from tallymark.report.background import Background
        from tallymark.serve.address import Address
        from tallymark.serve.endpoint import Endpoint
        from tallymark.serve.hosts import Hosts
        from tallymark.serve.limits import Limits
        from tallymark.serve.turn import Turn

        limits = limits or Limits()
        known = Hosts(host, hosts)

        def endpoint(listener: socket.socket) -> Endpoint:
            if auth and not tls:
                _warn_of_plain_text(listener)
            return Endpoint(listener, registry, known, limits, tls, auth)

        self.host = host
        self._registry = registry
        self._scheme = "http" if tls is None else "https"
        self._turn = Turn(Address(host, port), _lock(registry), endpoint)
        self._background = Background(self._turn, name="tallymark-http", patience=limits.close)
        self._background.start()
        registry.attach(self)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._turn.port

    @property
    def is_serving(self) -> bool:
        """False while another process, which shares the registry, serves the metrics at this address."""
        return self._endpoint is not None

    @property
    def _endpoint(self) -> Endpoint | None:
        return self._turn.endpoint

    @property
    def url(self) -> str:
        """The URL of the metrics, such as `"http://127.0.0.1:9464/metrics"`."""
        host = _ANY_HOST.get(self.host, self.host)
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/metrics"

    @property
    def page_url(self) -> str:
        """The URL of the live page, such as `"http://127.0.0.1:9464/"`."""
        return self.url.removesuffix("metrics")

    def close(self) -> None:
        """Stop serving: close all connections and the port, and wait for the thread. May be called again, from any thread.

        Waits at most 5 seconds for a response that is being rendered: a callback that never returns blocks nothing else.
        Called by such a callback, it does not wait.
        In a forked child it returns at once, and the parent's server goes on.
        """
        self._registry.detach(self)
        endpoint = self._endpoint
        if not self._background.close(wait=endpoint is None or not endpoint.pages.renderer.is_this_thread()):
            logger().warning("%s is still rendering a response, and closes when that is done", self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Server {self.url}{'' if self.is_serving else ', which another process serves'}>"


def _warn_of_plain_text(listener: socket.socket) -> None:
    from tallymark.serve.hosts import is_loopback

    host, port, *_ = listener.getsockname()
    if not is_loopback(host):
        logger().warning(
            "the metrics at port %d: clients send their credentials as plain text; tm.serve(tls=...) encrypts them", port
        )


def _lock(registry: Registry) -> RoleLock | None:
    """Return what tells where other processes serve a registry; None if it is not shared, or its file cannot be opened anew."""
    if not registry._families.is_shared:
        return None
    from tallymark.metric.shared.role_lock import RoleLock

    try:
        return RoleLock(registry._families.memory.shared)  # type: ignore[attr-defined]
    except OSError:  # as after setuid()
        return None
