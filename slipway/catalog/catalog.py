"""The catalog as one value: all documents of a directory, by kind.

Belongs here: the collection and its look-ups.
Does not: reading files (slipway.catalog.files) or judging what they say (slipway.catalog.rules).
"""

from __future__ import annotations

from functools import cached_property

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import (
    Adapter,
    Endpoint,
    Engine,
    Model,
    Organization,
    PriceBook,
    Settings,
)
from slipway.catalog.fields import Spec


class Catalog(Spec):
    """Everything that should be served, as read from one directory; documents are in file order."""

    models: tuple[Model, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    organizations: tuple[Organization, ...] = ()
    price_books: tuple[PriceBook, ...] = ()
    engines: tuple[Engine, ...] = ()
    settings: Settings = Settings(name="default")

    def model(self, name: str) -> Model:
        """The model of that name; KeyError when there is none."""
        return self._models[name]

    def adapter(self, name: str) -> Adapter:
        """The adapter of that name; KeyError when there is none."""
        return self._adapters[name]

    def deployment(self, name: str) -> Deployment:
        """The deployment of that name; KeyError when there is none."""
        return self._deployments[name]

    def engine(self, name: str) -> Engine:
        """The engine of that name; KeyError when there is none."""
        return self._engines[name]

    def price_book(self, name: str) -> PriceBook:
        """The price book of that name; KeyError when there is none."""
        return self._price_books[name]

    def endpoints_of(self, deployment: str) -> tuple[str, ...]:
        """Names of the endpoints that serve a deployment, sorted."""
        served = (e.name for e in self.endpoints if e.deployments == "all" or deployment in e.deployments)
        return tuple(sorted(served))

    def source(self, artifact: str) -> str:
        """The source of a model or adapter (their names never meet); KeyError when there is none."""
        model = self._models.get(artifact)
        return model.source if model is not None else self._adapters[artifact].source

    @cached_property
    def _models(self) -> dict[str, Model]:
        return {each.name: each for each in self.models}

    @cached_property
    def _adapters(self) -> dict[str, Adapter]:
        return {each.name: each for each in self.adapters}

    @cached_property
    def _deployments(self) -> dict[str, Deployment]:
        return {each.name: each for each in self.deployments}

    @cached_property
    def _engines(self) -> dict[str, Engine]:
        return {each.name: each for each in self.engines}

    @cached_property
    def _price_books(self) -> dict[str, PriceBook]:
        return {each.name: each for each in self.price_books}
