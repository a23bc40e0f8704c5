"""Rules on what usage would cost: whoever may use a deployment that has a price book has a price in force.

Belongs here: what the books, sharing and the clock say together, for whole catalogs.
Does not: one book's own entries (documents.py), prices over time and closed months (slipway.metering).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Price, PriceBook
from slipway.catalog.problems import Finding

_NAMED = 3

# What models of a task use besides tokens, and the prices of which one is enough.
_USED_BY: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "speech-to-text": ("minutes of audio that is heard", ("input_audio_per_minute",)),
    "text-to-speech": (
        "characters or minutes that are spoken",
        ("characters_per_million", "output_audio_per_minute"),
    ),
    "rerank": ("documents or searches", ("documents_per_thousand", "searches_per_thousand")),
}


def prices_in_force(catalog: Catalog) -> Iterator[Finding]:
    """A deployment with a price book has a price in force, now, for every organisation that may use it."""
    yield from unpriced(catalog, datetime.now(UTC))


def unpriced(catalog: Catalog, at: datetime) -> Iterator[Finding]:
    """The same at an instant."""
    books = {book.name: book for book in catalog.price_books}
    for deployment in catalog.deployments:
        book = books.get(deployment.price or "")
        if book is None or deployment.sharing == "none":
            continue
        free = _without_price(deployment, book, at)
        if free is not None:
            begins = _first_general(book)
            begin = f"; the first one begins at {begins.isoformat()}" if begins else ""
            message = (
                f"has no price in force for {free}, so that what they use now is not billed{begin}. Add an "
                f"entry{_scope(book, at)} with an effective_from that is past"
            )
            yield Finding("Deployment", deployment.name, ("price",), message, severity="warning")


def unpriced_units(catalog: Catalog) -> Iterator[Finding]:
    """What a deployment's task uses besides tokens has a price, if only "0"."""
    books = {book.name: book for book in catalog.price_books}
    tasks = {model.name: model.task for model in catalog.models}
    at = datetime.now(UTC)
    for deployment in catalog.deployments:
        book = books.get(deployment.price or "")
        used = _USED_BY.get(tasks.get(deployment.model, ""))
        if book is None or used is None or deployment.sharing == "none":
            continue
        what, fields = used
        in_force = {
            price.org: price for price in sorted(_in_force(book, at), key=lambda each: each.effective_from)
        }
        if any(all(getattr(price, name) is None for name in fields) for price in in_force.values()):
            message = (
                f"gives no price for {what}, so that they are not billed. Give its entries "
                f'{" or ".join(fields)} ("0" for what is free)'
            )
            yield Finding("Deployment", deployment.name, ("price",), message, severity="warning")


def _without_price(deployment: Deployment, book: PriceBook, at: datetime) -> str | None:
    """Who may use it and has no price, in words; None where all have one."""
    priced = {price.org for price in _in_force(book, at)}
    if None in priced:
        return None
    if deployment.sharing == "all":
        return f"organisations other than {_few(priced)}" if priced else "anybody"
    orgs = [org for org in deployment.sharing if org not in priced]
    return _few(orgs) if orgs else None


def _in_force(book: PriceBook, at: datetime) -> list[Price]:
    """Entries for all model names that have begun: one goes on until the next one of its scope."""
    return [price for price in book.prices if price.effective_from <= at and price.model is None]


def _first_general(book: PriceBook) -> datetime | None:
    """When the first entry for everybody begins."""
    general = [price for price in book.prices if price.org is None and price.model is None]
    return min((price.effective_from for price in general), default=None)


def _scope(book: PriceBook, at: datetime) -> str:
    return " without org" if _in_force(book, at) else ""


def _few(orgs: set[str | None] | list[str]) -> str:
    names = sorted(str(org) for org in orgs)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
