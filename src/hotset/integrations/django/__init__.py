"""hotset in a Django project: a cache backend, endings that wait for the commit, and models that end their tags.

CACHES = {"default": {"BACKEND": "hotset.integrations.django.HotsetCache", "LOCATION": ["memory://", "redis://…"]}}
"""

from __future__ import annotations

try:
    import django  # noqa: F401
except ImportError as error:
    raise ImportError("hotset.integrations.django needs Django: pip install 'hotset[django]'") from error

from hotset.integrations.django.backend import HotsetCache
from hotset.integrations.django.requests import request_scope
from hotset.integrations.django.signals import invalidate_on_change
from hotset.integrations.django.transactions import install

__all__ = ["HotsetCache", "invalidate_on_change", "request_scope"]

install()
