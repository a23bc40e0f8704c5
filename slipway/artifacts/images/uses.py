"""Who names which images: the catalog's engines, every revision that is kept.

Belongs here: reading who names them, all or none.
Does not: what follows from it (retention.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.artifacts.garbage import used_by_revisions
from slipway.artifacts.images.references import Repository
from slipway.catalog.catalog import Catalog
from slipway.objectstore import ObjectStore
from slipway.records.revisions import Revision

_DIGEST = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")


@dataclass(frozen=True)
class Use:
    """Somebody who names an image: by digest (of an index or a platform), or by a tag at an instant."""

    by: str
    at: datetime
    digest: str | None = None
    source: str | None = None
    tag: str | None = None


def read(catalog: Catalog, store: ObjectStore, now: datetime) -> list[Use]:
    """The uses by a catalog and by what a store records; raises UnknownUsesError, ObjectStoreError."""
    return [*of_catalog(catalog, now), *_of_revisions(store)]


def of_catalog(catalog: Catalog, now: datetime) -> Iterator[Use]:
    """What the catalog's engines name."""
    for engine in catalog.engines:
        for accelerator, image in engine.images.items():
            by = f"engine {engine.name} ({accelerator}) of the catalog"
            yield _use(by, now, image.model_dump())


def of_revision(revision: Revision) -> Iterator[Use]:
    """What a revision names: images of its engine, and every digest anywhere in what was rendered."""
    by = f"revision {revision.deployment} {revision.spec_digest[:8]}"
    applied_at = datetime.fromisoformat(revision.applied_at)
    for digest in sorted(set(_DIGEST.findall(revision.encode().decode()))):
        yield Use(by, applied_at, digest=digest)
    for image in revision.images:
        yield _use(by, applied_at, image)


def _of_revisions(store: ObjectStore) -> Iterator[Use]:
    for _, used in used_by_revisions(store, of_revision):
        yield from used


def _use(by: str, at: datetime, image: Mapping[str, Any]) -> Use:
    if image.get("digest"):
        return Use(by, at, digest=image["digest"])
    return Use(by, at, source=str(Repository.of_image(image["image"])), tag=image.get("tag"))
