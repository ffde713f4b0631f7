"""Products, and what ends when one of them changes."""

from __future__ import annotations

from django.core.cache import cache
from django.db import models

from hotset import NotFound
from hotset.integrations.django import invalidate_on_change


class Product(models.Model):
    name = models.CharField(max_length=50)
    price = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.name


invalidate_on_change(Product, tags=["product:{instance.pk}", "products"])


@cache.hotset.cached("product:{pk}", tags=["product:{pk}"], negative_ttl="30s")
def load_product(pk: int) -> dict[str, object]:
    found = Product.objects.filter(pk=pk).values("id", "name", "price").first()
    if found is None:
        raise NotFound(f"no product {pk}")
    return found


@cache.hotset.cached("catalogue", tags=["products"])
def load_catalogue() -> list[dict[str, object]]:
    return list(Product.objects.order_by("pk").values("id", "name", "price"))
