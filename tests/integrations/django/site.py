"""A site as gunicorn serves it: `gunicorn --preload tests.integrations.django.site:application`."""

from __future__ import annotations

import os

from django.conf import settings

settings.configure(
    SECRET_KEY="a secret of the site",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    CACHES={
        "default": {
            "BACKEND": "hotset.integrations.django.HotsetCache",
            "LOCATION": ["memory://", os.environ["SITE_REDIS"]],
            "TIMEOUT": 3600,
        }
    },
)

from django.core.cache import cache  # noqa: E402  it needs the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402  as above
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402  as above
from django.urls import path  # noqa: E402  as above

cache.set("before the fork", [1])
assert cache.get("before the fork") == [1]


def write(request: HttpRequest) -> HttpResponse:
    """Set a value."""
    cache.set("k", {"number": int(request.GET["number"])})
    return JsonResponse({"pid": os.getpid()})


def read(request: HttpRequest) -> HttpResponse:
    """Get it, and say where it was."""
    kept = cache.get("k") or {"number": 0}
    return JsonResponse({"pid": os.getpid(), "number": kept["number"], "before": cache.get("before the fork")})


def count(request: HttpRequest) -> HttpResponse:
    """Count, in all workers together."""
    cache.add("count", 0)
    return JsonResponse({"pid": os.getpid(), "count": cache.incr("count")})


urlpatterns = [path("write", write), path("read", read), path("count", count)]
application = get_wsgi_application()
