"""Mirroring an image: from its source registry to the local one, by digest, with what is attached to it.

Belongs here: what mirroring is, in order: blobs, manifests (children first), attachments, tags, the record.
Does not: the wire (client.py), one blob (blobs.py), which manifests there are (selection.py, attachments.py).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.artifacts.errors import AccessError, CorruptFileError, SourceError
from slipway.artifacts.images import attachments
from slipway.artifacts.images.attachments import Attached
from slipway.artifacts.images.blobs import BlobCopier
from slipway.artifacts.images.digest_trial import DigestTrial
from slipway.artifacts.images.errors import MissingBlobError
from slipway.artifacts.images.manifests import LICENCE, Descriptor, Manifest
from slipway.artifacts.images.publishing import Publisher
from slipway.artifacts.images.record import ImageRecord, ImageRecords
from slipway.artifacts.images.references import Repository
from slipway.artifacts.images.registries import Registries
from slipway.artifacts.images.removal import wait_for_removals
from slipway.artifacts.images.selection import ManifestReader, Selection, select
from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.progress import Meter, Report
from slipway.catalog.documents import Engine
from slipway.catalog.fields import Accelerator, Name, Spec
from slipway.catalog.image_names import Image, ImageDigest, Platform, Tag
from slipway.objectstore import ObjectStore

# Each is hashed on its way, so that more than the cores can feed only get in each other's way.
BLOBS_IN_FLIGHT = min(6, 1 + (os.cpu_count() or 1))
_WAITS_FOR_BLOBS_S = (0.1, 0.5, 2.0)


class ImageRequest(Spec):
    """What to mirror: an engine's image for one accelerator. A digest goes before a tag."""

    engine: Name
    accelerator: Accelerator
    image: Image
    tag: Tag | None = None
    digest: ImageDigest | None = None
    platforms: tuple[Platform, ...] = ()

    @classmethod
    def of(cls, engine: Engine, accelerator: Accelerator) -> ImageRequest:
        """The request that an engine of the catalog makes; KeyError when it has no image for that."""
        image = engine.images[accelerator]
        return cls(engine=engine.name, accelerator=accelerator, **image.model_dump())

    @property
    def repository(self) -> Repository:
        """The source repository."""
        return Repository.of_image(self.image)


@dataclass(frozen=True)
class Mirrored:
    """The record of an image that is there, and what it took to have it."""

    record: ImageRecord
    moved_bytes: int
    moved_blobs: int
    seconds: float
    # What is attached to it and did not come along, and why.
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moved:
    """A tag that has become another digest than was mirrored."""

    engine: str
    accelerator: str
    tag: str
    mirrored: str
    now: str


def mirror(request: ImageRequest, store: ObjectStore, registries: Registries, progress: Report) -> Mirrored:
    """Bring an image to the local registry and record it; returns the record.

    Harmless to repeat, to interrupt and to run twice at a time: a blob is committed verified or not at all, a
    tag is put when all that it names is there, and the record comes last. What is there is not moved again.
    Raises ArtifactError, ObjectStoreError or MissingSettingError; then no record was written by this call.
    """
    started = time.monotonic()
    records = ImageRecords(store)
    moved_bytes = moved_blobs = 0
    while True:
        run = _Run(request, records, registries, progress)
        record = run.record()
        moved_bytes, moved_blobs = moved_bytes + run.moved_bytes, moved_blobs + run.moved_blobs
        records.put(record)
        # A collection that decided before it could see this record may be removing what it names.
        if not wait_for_removals(records, record):
            seconds = time.monotonic() - started
            return Mirrored(record, moved_bytes, moved_blobs, seconds, run.left_out)


def resolve(request: ImageRequest, registries: Registries) -> str:
    """The digest that the request means now: its own, or what its tag is. Raises ArtifactError."""
    if request.digest is not None:
        return request.digest
    repository, tag = request.repository, str(request.tag)
    digest = registries.source(repository).resolve(repository, tag)
    if digest is None:
        raise SourceError(
            f"{repository}:{tag}: no such repository or tag. Correct image or tag of engine "
            f"{request.engine} ({request.accelerator})."
        )
    return digest


def moved(request: ImageRequest, record: ImageRecord, registries: Registries) -> Moved | None:
    """Whether the request's tag has become another digest than the record's; a pinned digest never does.

    One HEAD. Raises ArtifactError when the registry cannot be asked.
    """
    if request.digest is not None or request.tag is None:
        return None
    now = resolve(request, registries)
    if now == record.digest:
        return None
    return Moved(request.engine, request.accelerator, request.tag, record.digest, now)


class _Run:
    """One pass over an image."""

    def __init__(
        self,
        request: ImageRequest,
        records: ImageRecords,
        registries: Registries,
        progress: Report,
    ) -> None:
        self._request = request
        self._records = records
        self._progress = progress
        self._repository = request.repository
        self._mirrored = self._repository.mirrored_to(registries.location)
        self._source = registries.source(self._repository)
        self._target = registries.target
        self._trial = DigestTrial(self._target)
        self._digest = resolve(request, registries)
        self._reader = ManifestReader(self._source, self._target, self._repository, self._mirrored)
        self.moved_bytes = self.moved_blobs = 0
        self.left_out: tuple[str, ...] = ()

    def record(self) -> ImageRecord:
        """Bring everything to the mirror; returns the record to write."""
        selection = select(self._reader, self._digest, self._request.platforms)
        attached = attachments.find(self._reader, selection.subjects)
        own = {manifest.digest for manifest in selection.manifests}

        def publish() -> tuple[str, ...]:
            self._copy(_blobs(selection.manifests), attached)
            publisher = Publisher(self._target, self._mirrored)
            publisher.manifests(selection.manifests)
            publisher.attachments(attached, own)
            return (*publisher.attached(attached), *publisher.tags(selection, self._request.tag))

        tags = self._despite_others(publish)
        self.left_out = tuple(attached.left_out)
        manifests = {each.digest: each for each in (*selection.manifests, *attached.manifests.values())}
        return self._recorded(selection, tuple(manifests), tags, _blobs(manifests.values()))

    def _despite_others(self, publish: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """Publish, again when a blob that was there has gone.

        distribution writes a blob's link file in place, so that it is empty for a moment when another run
        commits the same blob; a collection in the registry itself may have removed it, too.
        """
        for wait_s in _WAITS_FOR_BLOBS_S:
            try:
                return publish()
            except MissingBlobError:
                time.sleep(wait_s)
        return publish()

    def _copy(self, own: Sequence[Descriptor], attached: Attached) -> None:
        """Bring the image's blobs, and those of what is attached: which may lack some, the image none."""
        needed = {blob.digest for blob in own}
        others = [blob for blob in _blobs(attached.manifests.values()) if blob.digest not in needed]
        blobs = [*own, *others]
        lacking: dict[str, str] = {}
        meter = Meter(sum(blob.size_bytes for blob in blobs), len(blobs))
        stop = workers.Stop()
        copier = BlobCopier(
            self._source, self._repository, self._target, self._mirrored, meter, stop, self._trial
        )
        mounts = _Mounts(self._records, self._mirrored)
        counted = threading.Lock()

        def worker(shared: Iterator[Descriptor]) -> None:
            for blob in shared:
                try:
                    streamed = copier.copy(blob, mounts.of)
                except AccessError:
                    raise
                except (SourceError, CorruptFileError) as error:
                    if blob.digest in needed:
                        raise
                    lacking[blob.digest] = str(error)
                    continue
                with counted:
                    self.moved_bytes += streamed
                    self.moved_blobs += streamed > 0

        # The largest first: no worker ends with one of them while the others wait.
        ordered = sorted(blobs, key=lambda blob: -blob.size_bytes)
        workers.run(
            ordered,
            worker,
            workers=BLOBS_IN_FLIGHT,
            stop=stop,
            tick=lambda: self._progress(meter.look()),
        )
        self._progress(meter.look())
        for digest, why in lacking.items():
            holders = [m.digest for m in attached.manifests.values() if digest in {b.digest for b in m.blobs}]
            attached.leave_out(holders, f"{', '.join(holders)} is left out: {why}")

    def _recorded(
        self,
        selection: Selection,
        manifests: tuple[str, ...],
        tags: tuple[str, ...],
        blobs: tuple[Descriptor, ...],
    ) -> ImageRecord:
        request, now = self._request, datetime.now(UTC)
        earlier = self._records.get(request.engine, request.accelerator, self._digest)
        record = ImageRecord(
            engine=request.engine,
            accelerator=request.accelerator,
            source=str(self._repository),
            source_tags=(request.tag,) if request.tag else (),
            digest=self._digest,
            platforms={platform.name: platform.digest for platform in selection.platforms},
            whole=selection.whole,
            registry=self._mirrored.host,
            repository=self._mirrored.path,
            manifests=manifests,
            tags=tags,
            blobs={blob.digest: blob.size_bytes for blob in blobs},
            licence=earlier.licence if earlier else self._licence(selection),
            created_at=now,
            resolved_at=now,
        )
        return record.joined(earlier) if earlier and earlier.at == record.at else record

    def _licence(self, selection: Selection) -> str | None:
        """The image's licence label, from the manifests' annotations or the first image's configuration."""
        for manifest in (selection.root, *selection.manifests):
            if LICENCE in manifest.annotations:
                return manifest.annotations[LICENCE]
        first = next((manifest for manifest in selection.manifests if manifest.config is not None), None)
        inner: Any = (self._reader.config(first) if first else {}).get("config")
        labels = inner.get("Labels") if isinstance(inner, dict) else None
        licence = labels.get(LICENCE) if isinstance(labels, dict) else None
        return None if licence is None else str(licence)


def _blobs(manifests: Iterable[Manifest]) -> tuple[Descriptor, ...]:
    """Each blob of these once."""
    return tuple({blob.digest: blob for manifest in manifests for blob in manifest.blobs}.values())


class _Mounts:
    """Other repositories of the local registry that hold a blob, as earlier records say; read when needed."""

    def __init__(self, records: ImageRecords, mirrored: Repository) -> None:
        self._records = records
        self._mirrored = mirrored
        self._lock = threading.Lock()
        self._repositories: dict[str, Repository] | None = None

    def of(self, digest: str) -> Repository | None:
        """A repository to mount the blob from."""
        with self._lock:
            if self._repositories is None:
                self._repositories = {
                    blob: record.at
                    for record in self._records.all()
                    if record.registry == self._mirrored.host and record.at != self._mirrored
                    for blob in record.blobs
                }
        return self._repositories.get(digest)
