"""The suites that dogpile.cache ships for whoever writes a backend, run over the process tier and over real stores."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
from dogpile.testing.fixtures import (
    _GenericBackendTestSuite,
    _GenericMutexTestSuite,
    _GenericSerializerTestSuite,
)

from hotset import Cache
from tests.services.servers import Server

PROCESS_TIER: Final[dict[str, Any]] = {"arguments": {"tiers": ["memory://"]}}


class TestProcessBackend(_GenericBackendTestSuite):
    """Over the process tier."""

    backend = "hotset"
    config_args = PROCESS_TIER


class TestProcessMutex(_GenericMutexTestSuite):
    """Over the process tier: each backend is a cache of its own, with flights for its mutexes."""

    backend = "hotset"
    config_args = PROCESS_TIER


class TestProcessSerializer(_GenericSerializerTestSuite, _GenericBackendTestSuite):
    """With a serializer of the region's own: what is stored is its bytes."""

    backend = "hotset"
    config_args = PROCESS_TIER


class _OverStore:
    """Their fixtures read a class's `config_args`: each test gets a cache in a namespace of its own."""

    backend = "hotset"
    config_args = PROCESS_TIER

    @pytest.fixture(autouse=True)
    def over_store(self, store_server: Server) -> Iterator[None]:
        """Put the cache into the arguments."""
        with Cache("memory://", store_server.url, namespace=f"dogpile-{uuid.uuid4()}") as cache:
            self.config_args = {"arguments": {"cache": cache}}
            yield


class TestStoreBackend(_OverStore, _GenericBackendTestSuite):
    """Over Redis and Valkey with copies near."""


class TestStoreMutex(_OverStore, _GenericMutexTestSuite):
    """Over leases in Redis and Valkey."""


class TestStoreSerializer(_OverStore, _GenericSerializerTestSuite, _GenericBackendTestSuite):
    """Bytes of the region's own serializer, in Redis and Valkey."""
