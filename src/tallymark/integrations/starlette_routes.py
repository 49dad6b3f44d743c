"""`StarletteRoutes`: the templates of the routes of a Starlette application, or of one that is built on it, such as FastAPI's.

An application leaves in the scope which endpoint it chose, but not through which mounts and routers. So the tree of routes
is read once; where one endpoint is at several places, the path tells which one it was.

Nothing is imported: what has `routes` is a router, and what has `path_regex` is a route.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from tallymark.integrations.metrics_path import is_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from re import Pattern

__all__ = ["StarletteRoutes", "routed_app"]

_DEEPEST = 20
"""Mounts within mounts; an application may be mounted in itself."""

_MOST_UNKNOWN = 1000
"""Endpoints that were not found, and are not looked for again."""


class StarletteRoutes:
    """The routes of one application by their endpoints.

    Args:
        app: what has `routes`.
        failed: called with what went wrong, which nobody could foresee: routes may be of any class.

    Attributes:
        templates: of those endpoints that are functions and at one place: C code finds them here, without a call.
    """

    def __init__(self, app: Any, failed: Callable[[Exception], None]) -> None:
        self._app = app
        self._failed = failed
        self._count = -1
        self._places: dict[int, list[_Place]] = {}
        self._templates: dict[int, str] = {}  # of endpoints that are at one place
        self.templates: dict[FunctionType, str] = {}
        self._unknown: dict[int, object] = {}  # the endpoint is kept, lest another one gets its id

    def __call__(self, scope: Mapping[str, Any]) -> str | None:
        """Return the template of the route that a scope was routed to; None if there was none."""
        endpoint = scope.get("endpoint")
        try:
            return self._templates[id(endpoint)]
        except KeyError:
            return None if endpoint is None else self._search(scope, endpoint)

    def _search(self, scope: Mapping[str, Any], endpoint: object) -> str | None:
        try:
            places = self._places.get(id(endpoint)) or self._look_again(endpoint)
            return _place_of(scope, places) if places else None
        except Exception as error:
            self._failed(error)
            return None

    def _look_again(self, endpoint: object) -> list[_Place]:
        if id(endpoint) in self._unknown:
            return []
        places = list(_places(self._app.routes, "", (), 0))
        if len(places) != self._count:  # else nothing was added
            self._count = len(places)
            self._places = _by_endpoint(places)
            alone = [some[0] for some in self._places.values() if len(some) == 1]
            self._templates = {id(place.endpoint): place.template for place in alone}
            self.templates.clear()
            self.templates.update({one.endpoint: one.template for one in alone if isinstance(one.endpoint, FunctionType)})
        found = self._places.get(id(endpoint), [])
        if not found and len(self._unknown) < _MOST_UNKNOWN:
            self._unknown[id(endpoint)] = endpoint
        return found


class _Place:
    """One place of an endpoint in the tree.

    Attributes:
        endpoint: what is called there.
        template: the whole of it, with the mounts that it is below.
    """

    __slots__ = ("_methods", "_patterns", "endpoint", "template")

    def __init__(self, route: Any, prefix: str, mounts: tuple[Pattern[str], ...]) -> None:
        is_mount = not hasattr(route, "endpoint")
        self.endpoint = route.app if is_mount else route.endpoint
        self.template = f"{prefix}{_written(route)}{'/{path}' if is_mount else ''}"
        self._methods = getattr(route, "methods", None)
        self._patterns = (*mounts, route.path_regex)

    def fits(self, path: str) -> bool:
        """Return True if a path may lead here."""
        for pattern in self._patterns:
            match = pattern.match(path)
            if match is None:
                return False
            path = "/" + match.groupdict().get("path", "")
        return True

    def takes(self, method: str | None) -> bool:
        """Return True if requests with this method are answered here."""
        return not self._methods or method is None or method in self._methods


def _by_endpoint(places: Iterable[_Place]) -> dict[int, list[_Place]]:
    found: dict[int, list[_Place]] = {}
    for place in places:
        others = found.setdefault(id(place.endpoint), [])
        if place.template not in [other.template for other in others] or place._methods:
            others.append(place)
    return {key: others[:1] if len({one.template for one in others}) == 1 else others for key, others in found.items()}


def _place_of(scope: Mapping[str, Any], places: list[_Place]) -> str | None:
    if len(places) == 1:
        return places[0].template
    path, method = scope["path"], scope.get("method")
    for root in _roots(scope):
        below = path[len(root) :] if root and is_below(root, path) else path
        fitting = [place for place in places if place.fits(below)]
        taking = [place for place in fitting if place.takes(method)]
        if fitting:
            return (taking or fitting)[0].template
    return None


def _roots(scope: Mapping[str, Any]) -> Iterator[str]:
    """Return where an application may be: at the root of its server, or where it is mounted, of which it is not told."""
    deepest: str = scope.get("root_path", "").rstrip("/")
    root: str = scope.get("app_root_path", deepest).rstrip("/")
    yield root
    ends = [at for at in range(len(root) + 1, len(deepest)) if deepest[at] == "/"]
    yield from [deepest[:end] for end in [*ends, len(deepest)] if end > len(root)]


def _places(routes: Iterable[Any], prefix: str, mounts: tuple[Pattern[str], ...], depth: int) -> Iterator[_Place]:
    for route in _resolved(routes):
        below = _routes_below(route)
        if below is not None:
            if depth < _DEEPEST:
                yield from _places(below, *_within(route, prefix, mounts), depth + 1)
        elif getattr(route, "path_regex", None) is not None:
            yield _Place(route, prefix, mounts)


def _resolved(routes: Iterable[Any]) -> Iterator[Any]:
    """Return routes with their whole paths. FastAPI keeps what an included router has beside the prefix that it gets."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        else:
            for one in contexts():
                yield one.starlette_route or one


def _routes_below(route: Any) -> Iterable[Any] | None:
    """Return the routes of what is mounted; None if it is no mount, or one of an application that has none."""
    if hasattr(route, "endpoint"):
        return None
    app = routed_app(getattr(route, "app", None))
    below: Iterable[Any] | None = None if app is None else app.routes
    return below


def _within(route: Any, prefix: str, mounts: tuple[Pattern[str], ...]) -> tuple[str, tuple[Pattern[str], ...]]:
    if not hasattr(route, "path"):  # it is of a host, and takes nothing of the path
        return prefix, mounts
    return prefix + _written(route), (*mounts, route.path_regex)


def _written(route: Any) -> str:
    """Return a path as it is written in code, converters included: so the other frameworks have it, and OpenTelemetry too."""
    return str(route.path)


def routed_app(app: Any) -> Any:
    """Return the application that has routes, within those that are around it; None if there is none."""
    for _ in range(_DEEPEST):
        if app is None or isinstance(getattr(app, "routes", None), list):
            return app
        app = getattr(app, "app", None)
    return None
