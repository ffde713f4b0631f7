"""The pages of the project."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.cache import cache_page

from tests.integrations.django.shop.models import User

if TYPE_CHECKING:
    from django.http import HttpRequest

made = itertools.count(1)


@cache_page(60)
def page(request: HttpRequest) -> HttpResponse:
    """Say how often it was made."""
    return HttpResponse(f"made {next(made)}")


def visits(request: HttpRequest) -> HttpResponse:
    """Count the visits of a session."""
    request.session["seen"] = [*request.session.get("seen", []), 1]
    return HttpResponse(str(len(request.session["seen"])))


async def names(request: HttpRequest) -> HttpResponse:
    """Answer from the database, through a sync loader under the async face."""

    def load() -> list[str]:
        return list(User.objects.values_list("name", flat=True))

    found = await cache.hotset.aio.get_or_load(f"names:{request.GET['n']}", load)
    return HttpResponse(", ".join(found))


def open_here(request: HttpRequest) -> HttpResponse:
    """Tell whether a load in the request's own thread leaves its connection alone."""

    def load() -> int:
        return User.objects.count()

    User.objects.count()
    before = connection.connection
    cache.hotset.get_or_load(f"count:{request.GET['n']}", load)
    return HttpResponse(str(connection.connection is before))


urlpatterns = [path("page", page), path("visits", visits), path("names", names), path("open", open_here)]
