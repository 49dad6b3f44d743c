"""How Django's routes are named: the whole template of the URL resolver, through all that it includes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.urls import LocalePrefixPattern, get_resolver

__all__ = ["template"]

_LANGUAGE = "<language>"
"""Stands for the language that `i18n_patterns` puts before a path."""

_MOST_URLCONFS = 100
"""Django lets each request have a URLconf of its own."""


def template(request: Any) -> str | None:
    """Return the template that a request was resolved to, such as `"/articles/<int:year>/"`; None if none matched."""
    match = getattr(request, "resolver_match", None)
    if match is None:
        return None
    route: str = match.route.removeprefix("^").removesuffix("$")
    head, slash, rest = route.partition("/")
    if slash and head in _languages(getattr(request, "urlconf", None) or settings.ROOT_URLCONF):
        route = f"{_LANGUAGE}/{rest}"
    return "/" + route


@lru_cache(_MOST_URLCONFS)
def _languages(urlconf: Any) -> frozenset[str]:
    """Return the languages that `i18n_patterns` puts before paths, but for those that a path begins with in any case."""
    patterns = [found.pattern for found in get_resolver(urlconf).url_patterns]
    others = [pattern for pattern in patterns if not isinstance(pattern, LocalePrefixPattern)]
    if len(others) == len(patterns):
        return frozenset()
    codes = {code for code, _ in settings.LANGUAGES} | {settings.LANGUAGE_CODE}
    return frozenset(codes - {str(pattern).removeprefix("^").partition("/")[0] for pattern in others})
