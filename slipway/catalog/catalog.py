"""The catalog as one value: all documents of a directory, by kind.

Belongs here: the collection and its look-ups.
Does not: reading files (loader.py) or judging what they say (checks.py).
"""

from __future__ import annotations

from typing import TypeVar

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import (
    Adapter,
    Document,
    Endpoint,
    Engine,
    Model,
    Organization,
    PriceBook,
    Settings,
)
from slipway.catalog.fields import Spec

D = TypeVar("D", bound=Document)


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
        return _named(self.models, name)

    def adapter(self, name: str) -> Adapter:
        """The adapter of that name; KeyError when there is none."""
        return _named(self.adapters, name)

    def deployment(self, name: str) -> Deployment:
        """The deployment of that name; KeyError when there is none."""
        return _named(self.deployments, name)

    def engine(self, name: str) -> Engine:
        """The engine of that name; KeyError when there is none."""
        return _named(self.engines, name)

    def price_book(self, name: str) -> PriceBook:
        """The price book of that name; KeyError when there is none."""
        return _named(self.price_books, name)


def _named(documents: tuple[D, ...], name: str) -> D:
    for document in documents:
        if document.name == name:
            return document
    raise KeyError(name)
