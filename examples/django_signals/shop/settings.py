"""What a project has, and the cache."""

import os

SECRET_KEY = os.environ.get("SECRET_KEY", "an example's, and nobody's secret")
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["shop"]
MIDDLEWARE = ["shop.views.name_the_worker"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", "shop.db"),
        "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode = WAL"},
    }
}
CACHES = {
    "default": {
        "BACKEND": "hotset.integrations.django.HotsetCache",
        "LOCATION": ["memory://", os.environ.get("REDIS_URL", "redis://localhost:6379/0")],
        "TIMEOUT": 600,
        "OPTIONS": {"namespace": "shop"},
    }
}
