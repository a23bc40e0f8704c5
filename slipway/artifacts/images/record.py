"""What was mirrored: one record per engine, accelerator and digest in the object store.

Without its record an image does not exist to deployments.

Belongs here: the record, its key, reading and writing.
Does not: mirroring (mirror.py), which records may go (retention.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.images.references import Repository
from slipway.catalog.fields import Accelerator, Name
from slipway.objectstore import ObjectStore

PREFIX = "images/"
# Copies of records whose images are being removed: what a collection that was interrupted goes on with.
REMOVALS = "image-removals/"

Digest = Annotated[str, Field(pattern=r"^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$")]


class ImageRecord(BaseModel):
    """An image in the local registry. `digest` is the source's, of the index where there is one.

    `platforms` names the manifest to run by platform. `whole`: the index itself is there, too; otherwise only
    the chosen platforms are. `manifests` are all that belong to it, attachments included, and `tags` all that
    name them here. `source_tags` are the tags that were this digest, the last one last; `resolved_at` is when
    it was mirrored last.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: Literal[1] = Field(1, alias="schema")
    engine: Name
    accelerator: Accelerator
    source: str
    source_tags: tuple[str, ...]
    digest: Digest
    platforms: dict[str, Digest]
    whole: bool
    registry: str
    repository: str
    manifests: tuple[Digest, ...]
    tags: tuple[str, ...]
    blobs: dict[Digest, int]
    licence: str | None
    created_at: datetime
    resolved_at: datetime

    @property
    def tag(self) -> str | None:
        """The source's tag that was this digest last; None when it was asked for by digest alone."""
        return self.source_tags[-1] if self.source_tags else None

    @property
    def key(self) -> str:
        """Key of the record: `images/<engine>/<accelerator>/<hex>.json`."""
        return f"{PREFIX}{self._name}"

    @property
    def removal_key(self) -> str:
        """Key of its copy while it is removed."""
        return f"{REMOVALS}{self._name}"

    @property
    def size_bytes(self) -> int:
        """Size of all blobs."""
        return sum(self.blobs.values())

    @property
    def at(self) -> Repository:
        """The repository that it lies in."""
        return Repository(self.registry, self.repository)

    @property
    def reference(self) -> str:
        """What a deployment pulls: the index, or the manifest of the only platform that is here."""
        digest = (
            self.digest if self.whole or len(self.platforms) != 1 else next(iter(self.platforms.values()))
        )
        return f"{self.at}@{digest}"

    @property
    def _name(self) -> str:
        return f"{self.engine}/{self.accelerator}/{self.digest.partition(':')[2]}.json"

    def joined(self, earlier: ImageRecord) -> ImageRecord:
        """The same record with what an earlier mirroring of the same digest brought to the same place."""
        return self.model_copy(
            update={
                "source_tags": tuple(
                    dict.fromkeys((*(t for t in earlier.source_tags if t != self.tag), *self.source_tags))
                ),
                "platforms": {**earlier.platforms, **self.platforms},
                "whole": self.whole or earlier.whole,
                "manifests": tuple(dict.fromkeys((*earlier.manifests, *self.manifests))),
                "tags": tuple(dict.fromkeys((*earlier.tags, *self.tags))),
                "blobs": {**earlier.blobs, **self.blobs},
                "licence": self.licence or earlier.licence,
                "created_at": earlier.created_at,
            }
        )

    def encode(self) -> bytes:
        """The object as it lies in the store."""
        return self.model_dump_json(by_alias=True, indent=1).encode()


class ImageRecords:
    """The records of one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def get(self, engine: str, accelerator: str, digest: str) -> ImageRecord | None:
        """The record of a digest; None when it was not mirrored."""
        return self.read(f"{PREFIX}{engine}/{accelerator}/{digest.partition(':')[2]}.json")

    def all(self, engine: str | None = None, accelerator: str | None = None) -> list[ImageRecord]:
        """All records, of one engine, or of one of its accelerators; the last resolved first."""
        path = "".join(f"{part}/" for part in (engine, accelerator) if part)
        return sorted(self._under(PREFIX + path), key=lambda record: record.resolved_at, reverse=True)

    def latest(self, engine: str, accelerator: str, source: str, tag: str | None) -> ImageRecord | None:
        """What the tag of a source was when it was mirrored last; None when it never was."""
        of_source = (record for record in self.all(engine, accelerator) if record.source == source)
        return next((record for record in of_source if tag in record.source_tags), None)

    def removals(self) -> list[ImageRecord]:
        """Images that are being removed."""
        return list(self._under(REMOVALS))

    def put(self, record: ImageRecord) -> None:
        """Write a record, replacing an earlier one of the same digest."""
        self.store.put(record.key, record.encode(), content_type="application/json")

    def read(self, key: str) -> ImageRecord | None:
        """The record at a key; raises CorruptFileError when it is none."""
        body = self.store.get(key)
        if body is None:
            return None
        try:
            return ImageRecord.model_validate_json(body)
        except ValidationError as error:
            raise CorruptFileError(
                f"{key} in bucket {self.store.location.bucket}: not a record of an image: "
                f"{error.errors()[0]['msg']}. Remove this object, then mirror the image again."
            ) from error

    def _under(self, prefix: str) -> Iterator[ImageRecord]:
        for item in list(self.store.list(prefix)):
            record = self.read(item.key)
            if record is not None:
                yield record
