"""A Django project with routes of all kinds, and views that answer, stream, fail and hang in all ways."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import django
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse

SECOND = 0.01

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages",
            "django.contrib.sessions",
        ],
        LANGUAGES=[("en", "English"), ("de", "German")],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[
            "tallymark.integrations.django.MetricsMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django_site.failing",
        ],
        ROOT_URLCONF="django_site",
        SECRET_KEY="secret",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
            "context_processors": [
                "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.request",
            ],
        }}],
        USE_TZ=True,
    )  # fmt: skip
    django.setup()

from django.conf.urls.i18n import i18n_patterns  # noqa: E402 - these ask for settings
from django.contrib import admin  # noqa: E402
from django.template.response import TemplateResponse  # noqa: E402
from django.urls import include, path, re_path  # noqa: E402
from django.utils.decorators import sync_and_async_middleware  # noqa: E402
from django.views import View  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402
from django.views.generic import TemplateView  # noqa: E402

hanging: list[asyncio.Event] = []
"""Set when a view that hangs was called, and again when it was cancelled."""


@sync_and_async_middleware
def failing(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Fail in a middleware, not in a view, where a request asks for that."""

    def check(request: Any) -> None:
        if "HTTP_X_FAIL" in request.META:
            raise LookupError("a middleware failed")

    if asyncio.iscoroutinefunction(get_response):

        async def answer_later(request: Any) -> Any:
            check(request)
            return await get_response(request)

        return answer_later

    def answer(request: Any) -> Any:
        check(request)
        return get_response(request)

    return answer


def forgiving(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Answer for what failed below, as some middlewares do."""

    def answer(request: Any) -> HttpResponse:
        get_response(request).close()
        return HttpResponse("forgiven", status=400)

    return answer


def hello(request: Any, **kwargs: Any) -> HttpResponse:
    return HttpResponse("hello")


async def hello_later(request: Any, **kwargs: Any) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse("hello")


class Hello(View):
    async def get(self, request: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse("hello")


class HelloNow(View):
    def get(self, request: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse("hello")

    def post(self, request: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponse(request.body, status=201)


def template(request: Any) -> TemplateResponse:
    return TemplateResponse(request, "admin/invalid_setup.html", {"title": "hello"})


def raise_error(error: Exception) -> Callable[..., HttpResponse]:
    def view(request: Any) -> HttpResponse:
        raise error

    return view


async def fail_later(request: Any) -> HttpResponse:
    raise ZeroDivisionError


def stream(request: Any, number: int) -> StreamingHttpResponse:
    def chunks() -> Iterator[str]:
        for _ in range(number):
            yield "chunk"
        if "fail" in request.GET:
            raise ZeroDivisionError

    return StreamingHttpResponse(chunks())


async def stream_later(request: Any, number: int) -> StreamingHttpResponse:
    async def chunks() -> AsyncIterator[str]:
        for _ in range(number):
            await asyncio.sleep(0)
            yield "chunk"
        if "fail" in request.GET:
            raise ZeroDivisionError

    return StreamingHttpResponse(chunks())


def file(request: Any) -> FileResponse:
    return FileResponse(io.BytesIO(b"x" * 10_000), filename="file.txt")


async def hang(request: Any) -> HttpResponse:
    called, cancelled = hanging
    called.set()
    try:
        await asyncio.sleep(60)
    finally:
        cancelled.set()
    return HttpResponse("too late")


articles = (
    [
        path("", hello, name="all"),
        path("<int:year>/", hello, name="year"),
        path("<int:year>/<slug:title>/", Hello.as_view(), name="one"),
        re_path(r"^archive/(?P<year>[0-9]{4})/$", hello_later),
    ],
    "articles",
)

urlpatterns = [
    path("", hello),
    path("later/", hello_later),
    path("class/", HelloNow.as_view()),
    path("template/", template),
    path("cached/", cache_page(60)(hello)),
    path("articles/", include(articles, namespace="first")),
    path("again/", include([path("articles/", include(articles, namespace="second"))])),
    re_path(r"^old/(\d+)/$", lambda request, number: HttpResponse("hello")),
    path("admin/", admin.site.urls),
    path("missing/", raise_error(Http404("nothing"))),
    path("forbidden/", raise_error(PermissionDenied())),
    path("suspicious/", raise_error(SuspiciousOperation("odd"))),
    path("fails/", raise_error(ZeroDivisionError())),
    path("fails/later/", fail_later),
    path("stream/<int:number>/", stream),
    path("stream/later/<int:number>/", stream_later),
    path("file/", file),
    path("hang/", hang),
    path("healthz", hello),
    *i18n_patterns(path("shop/<slug:item>/", hello), path("page/", TemplateView.as_view(template_name="missing.html"))),
]

__all__ = ["cache", "hanging", "urlpatterns"]
