"""Makes the tables, and thirty products. Run once: `python prepare.py`."""

import os

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)

from shop.models import Product  # noqa: E402  there are no models before django.setup()

Product.objects.bulk_create([Product(name=f"product {number}") for number in range(1, 31)])
