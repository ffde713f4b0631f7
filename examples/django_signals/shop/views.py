"""Views: they read through the cache, save models, and know of no key and no tag."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from hotset import NotFound
from shop.models import Product, load_catalogue, load_product


@csrf_exempt
def product(request: HttpRequest, pk: int) -> HttpResponse:
    if request.method == "PUT":
        return change(pk, json.loads(request.body))
    try:
        return JsonResponse(load_product(pk))
    except NotFound as error:
        return HttpResponseNotFound(str(error))


def change(pk: int, changes: dict[str, int]) -> HttpResponse:
    """Change one product, or nothing: a negative price is found out after the save, and takes all of it back."""
    with transaction.atomic():
        found = Product.objects.select_for_update().get(pk=pk)
        found.price = changes["price"]
        found.save()  # ends its tags, after the commit
        if found.price < 0:
            transaction.set_rollback(True)
            return JsonResponse({"error": "a price is not negative"}, status=422)
    return JsonResponse({"id": pk, "price": found.price})


def catalogue(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"products": load_catalogue()})


def health(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


def name_the_worker(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Worker"] = str(os.getpid())
        return response

    return answer
