"""The registries of one process: an image's own, by its name, and the local one that images are mirrored to.

Belongs here: making their clients, once each. Does not: what lets us in (access.py), the calls (client.py).
"""

from __future__ import annotations

import threading

from slipway.artifacts.images.access import of_source, of_target, registry_name
from slipway.artifacts.images.client import RegistryClient
from slipway.artifacts.images.references import Repository
from slipway.artifacts.transfer.retry import RetryPolicy
from slipway.catalog.documents import Settings
from slipway.environment import Environment, RegistryLocation


class Registries:
    """Clients as the environment (the local registry, secrets) and the catalog's settings describe them."""

    def __init__(
        self, environment: Environment, settings: Settings, policy: RetryPolicy | None = None
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._policy = policy
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, str | None], RegistryClient] = {}
        self._target: RegistryClient | None = None

    @property
    def location(self) -> RegistryLocation:
        """Where images are mirrored to; raises MissingSettingError."""
        return self._environment.registry

    @property
    def target(self) -> RegistryClient:
        """The local registry."""
        with self._lock:
            if self._target is None:
                self._target = RegistryClient(of_target(self.location), self._policy)
            return self._target

    def source(self, repository: Repository) -> RegistryClient:
        """The registry of an image; raises AccessError when its credentials are not there."""
        key = (repository.host, registry_name(repository, self._settings))
        with self._lock:
            if key not in self._sources:
                access = of_source(repository, self._settings, self._environment)
                self._sources[key] = RegistryClient(access, self._policy)
            return self._sources[key]
