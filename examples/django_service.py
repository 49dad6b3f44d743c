"""A service in Django, in one file, whose HTTP metrics are recorded, and served at `/metrics`.

    cd examples
    gunicorn --workers 4 django_service:application          # WSGI
    uvicorn --workers 4 django_service:asgi_application      # ASGI

    curl http://127.0.0.1:8000/orders/17/
    curl http://127.0.0.1:8000/metrics

The workers share the registry if the environment has `METRICS=/run/myapp/metrics`.
"""

from __future__ import annotations

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import include, path

import tallymark as tm

registry = tm.Registry(shared=os.environ.get("METRICS", False))


def order(request: HttpRequest, number: int) -> JsonResponse:
    return JsonResponse({"order": number})


async def later(request: HttpRequest, number: int) -> JsonResponse:
    return JsonResponse({"order": number})


def report(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"line {number}\n" for number in range(3))


def broken(request: HttpRequest) -> JsonResponse:
    raise RuntimeError("a fault of this service")


urlpatterns = [
    path("orders/", include([path("<int:number>/", order), path("<int:number>/later/", later)])),
    path("report/", report),
    path("broken/", broken),
]

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    MIDDLEWARE=["tallymark.integrations.django.MetricsMiddleware", "django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "an example has no secrets"),
    TALLYMARK={"metrics_path": "/metrics", "registry": registry, "exclude": ["/healthz"]},
)

application = get_wsgi_application()
asgi_application = get_asgi_application()
