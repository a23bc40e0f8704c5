"""Garbage collection of mirrored images: reading what is named, deciding, removing.

Belongs here: the shell around the decision. Does not: the decision (retention.py), the order (removal.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.images import removal, retention
from slipway.artifacts.images.record import ImageRecord, ImageRecords
from slipway.artifacts.images.references import Repository
from slipway.artifacts.images.registries import Registries
from slipway.artifacts.images.retention import Use, Verdict
from slipway.catalog.catalog import Catalog
from slipway.objectstore import ObjectStore

# Where the data plane keeps revisions: those that are there are live or kept for rolling back.
_REVISIONS = "revisions/"
_DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")


@dataclass(frozen=True)
class Collection:
    """Verdicts on all records of the local registry, what was removed, and records of other registries."""

    verdicts: tuple[Verdict, ...]
    removed: tuple[ImageRecord, ...]
    elsewhere: tuple[ImageRecord, ...]


def gc(
    catalog: Catalog,
    store: ObjectStore,
    registries: Registries,
    *,
    apply: bool = False,
    now: datetime | None = None,
) -> Collection:
    """Say which mirrored images nothing names any more; with `apply`, remove them.

    The grace time is the catalog's `weights_grace_s`. Manifests and tags are removed; the registry's own
    garbage collection then frees the space of their blobs. Raises ArtifactError or ObjectStoreError; then
    the next run goes on.
    """
    records = ImageRecords(store)
    target = registries.target
    now = now or datetime.now(UTC)
    removed: list[ImageRecord] = removal.finish(records, target) if apply else []
    known = records.all()
    here = [each for each in known if each.registry == target.access.host]
    uses = [*of_catalog(catalog, now), *of_revisions(store, now)]
    grace = timedelta(seconds=catalog.settings.weights_grace_s)
    verdicts = retention.decide(here, uses, now, grace)
    for verdict in verdicts:
        if apply and verdict.remove and removal.remove(verdict.record, records, target):
            removed.append(verdict.record)
    elsewhere = tuple(each for each in known if each.registry != target.access.host)
    return Collection(tuple(verdicts), tuple(removed), elsewhere)


def of_catalog(catalog: Catalog, now: datetime) -> Iterator[Use]:
    """What the catalog's engines name."""
    for engine in catalog.engines:
        for accelerator, image in engine.images.items():
            by = f"engine {engine.name} ({accelerator}) of the catalog"
            yield _use(by, now, image.model_dump())


def of_revisions(store: ObjectStore, now: datetime) -> Iterator[Use]:
    """What revisions name: images of their engine, and every digest anywhere in what was rendered."""
    for item in list(store.list(_REVISIONS)):
        body = store.get(item.key)
        if body is None:
            continue
        text = body.decode(errors="replace")
        by = f"revision {item.key.removeprefix(_REVISIONS).removesuffix('.json')}"
        for digest in sorted(set(_DIGEST.findall(text))):
            yield Use(by, now, digest=digest)
        try:
            revision: dict[str, Any] = json.loads(text)
            applied_at = datetime.fromisoformat(revision["applied_at"])
            images = [_use(by, applied_at, each) for each in _images(revision)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFileError(
                f"{item.key} in bucket {store.location.bucket}: not a revision: {error!r}. Nothing is "
                "removed while it cannot be read. Correct or remove this object."
            ) from error
        yield from images


def _images(revision: dict[str, Any]) -> list[dict[str, Any]]:
    return list(revision["spec"]["engine"].get("images", {}).values())


def _use(by: str, at: datetime, image: dict[str, Any]) -> Use:
    if image.get("digest"):
        return Use(by, at, digest=image["digest"])
    return Use(by, at, source=str(Repository.of_image(image["image"])), tag=image.get("tag"))
