"""Pulling weights: from a catalog's source to a published, verified manifest in the store.

Belongs here: what a pull is, in order, and what `verify` means.
Does not: reading sources (hub.py), moving bytes (transfer.py), what is shown of it (the caller).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.artifacts import claims, workers
from slipway.artifacts.claims import Claim
from slipway.artifacts.digests import RunningDigest
from slipway.artifacts.errors import ArtifactError, PublishedDifferentlyError
from slipway.artifacts.manifest import Manifest, ManifestFile, prefix
from slipway.artifacts.paths import wanted
from slipway.artifacts.progress import Meter, Progress, Report
from slipway.artifacts.source import Snapshot, Source, SourceFile
from slipway.artifacts.stored import sha256_of, stream
from slipway.artifacts.transfer import Job, Transfer, TransferSettings
from slipway.artifacts.uploads import Uploads
from slipway.catalog.documents import Adapter, Model
from slipway.catalog.fields import Name, SecretRef, Spec, is_pinned, split_revision
from slipway.catalog.fields import Source as SourceText
from slipway.objectstore import ObjectStore, ObjectStoreError

_READERS = 4


class WeightsRequest(Spec):
    """What to pull: a model's or an adapter's source, patterns and token, under its catalog name."""

    name: Name
    source: SourceText
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    licence: str | None = None
    token: SecretRef | None = None

    @classmethod
    def of(cls, document: Model | Adapter) -> WeightsRequest:
        """The request that a catalog document makes."""
        return cls(
            name=document.name,
            source=document.source,
            include=document.include,
            exclude=document.exclude,
            licence=document.licence,
            token=document.token,
        )

    def at(self, commit: str) -> WeightsRequest:
        """The same request, pinned to a commit that its moving ref was resolved to."""
        return self.model_copy(update={"source": f"{split_revision(self.source)[0]}@{commit}"})


@dataclass(frozen=True)
class Mismatch:
    """A published file that is not what its manifest says."""

    path: str
    problem: str


def resolve_commit(artifact: WeightsRequest, hub: Source) -> str:
    """The commit that the request's source means now; a pinned one is answered without asking the hub.

    Raises SourceError, AccessError or SourceUnavailableError.
    """
    location, revision = split_revision(artifact.source)
    if revision is not None and is_pinned(artifact.source):
        return revision
    return hub.resolve(location, revision, artifact.token).commit


def pull(
    artifact: WeightsRequest,
    store: ObjectStore,
    hub: Source,
    progress: Callable[[Progress], None],
    settings: TransferSettings | None = None,
) -> Manifest:
    """Bring the request's files into the store and publish their manifest; returns what is published.

    Harmless to repeat, to interrupt and to run twice at a time: files appear verified or not at all, the
    manifest is created once and last, and what is published is returned without moving a byte. Raises
    ArtifactError or ObjectStoreError; then nothing was published by this call.
    """
    published = _published_as_asked(artifact, store)
    if published is not None:
        _clear_uploads(store, published)
        return published
    location, revision = split_revision(artifact.source)
    snapshot = hub.resolve(location, revision, artifact.token)
    source = f"{location}@{snapshot.commit}"
    files = wanted(snapshot.files(), artifact.include, artifact.exclude, source=source)
    claim = _claim(artifact, snapshot.commit, store)
    published = Manifest.read(store, artifact.name, snapshot.commit)
    if published is None:
        try:
            published = _publish(artifact, source, snapshot, files, store, progress, settings, claim)
        except (ArtifactError, ObjectStoreError):
            published = _published_meanwhile(artifact, snapshot.commit, store)
            if published is None:
                raise
    _require(published, files, artifact)
    _clear_uploads(store, published)
    return published


def verify(manifest: Manifest, store: ObjectStore, progress: Callable[[Progress], None]) -> list[Mismatch]:
    """Read every published file back and compare size and sha256; an empty list means that all is well.

    Raises ObjectStoreError when the store cannot be read.
    """
    stored = {item.key: item.size_bytes for item in store.list(manifest.prefix)}
    meter = Meter(manifest.size_bytes, len(manifest.files))
    found: list[Mismatch] = []

    def read(file: ManifestFile) -> None:
        key = manifest.prefix + file.path
        if stored.get(key) != file.size_bytes:
            size = f"{stored[key]} bytes" if key in stored else "missing"
            found.append(Mismatch(file.path, f"{size}; the manifest says {file.size_bytes} bytes"))
            return
        read_bytes, sha256 = sha256_of(store, key, file.size_bytes, meter.moved)
        if (read_bytes, sha256) != (file.size_bytes, file.sha256):
            found.append(Mismatch(file.path, f"sha256 {sha256}; the manifest says {file.sha256}"))
        meter.file_done()

    workers.each(manifest.files, read, workers=_READERS, tick=lambda: progress(meter.look()))
    return sorted(found, key=lambda each: each.path)


def _publish(
    artifact: WeightsRequest,
    source: str,
    snapshot: Snapshot,
    files: tuple[SourceFile, ...],
    store: ObjectStore,
    progress: Report,
    settings: TransferSettings | None,
    claim: Claim,
) -> Manifest:
    """Transfer what is missing and create the manifest; returns the one that is there in the end."""

    def look(now: Progress) -> None:
        claim.renew()
        progress(now)

    key_prefix = prefix(artifact.name, snapshot.commit)
    meter = Meter(sum(file.size_bytes for file in files), len(files))
    digests = _already_stored(key_prefix, files, store, meter, look)
    missing = [Job(file, key_prefix + file.path) for file in files if file.path not in digests]
    transfer = Transfer(snapshot, store, settings or TransferSettings(), source)
    digests |= transfer.run(missing, meter, look)
    manifest = Manifest(
        name=artifact.name,
        source=source,
        commit=snapshot.commit,
        licence=artifact.licence or snapshot.licence,
        created_at=datetime.now(UTC),
        include=artifact.include,
        exclude=artifact.exclude,
        files=tuple(
            ManifestFile(path=file.path, size_bytes=file.size_bytes, sha256=digests[file.path])
            for file in files
        ),
    )
    claim.renew()
    first = manifest.publish(store)
    progress(meter.look())
    return manifest if first else Manifest.read(store, artifact.name, snapshot.commit) or manifest


def _already_stored(
    key_prefix: str, files: tuple[SourceFile, ...], store: ObjectStore, meter: Meter, progress: Report
) -> dict[str, str]:
    """sha256 by path of what an earlier, interrupted pull completed, read back and as the source lists it."""
    stored = {item.key: item.size_bytes for item in store.list(key_prefix)}
    candidates = [file for file in files if stored.get(key_prefix + file.path) == file.size_bytes]
    digests: dict[str, str] = {}

    def read(file: SourceFile) -> None:
        running = RunningDigest(file.size_bytes, file.digest)
        for piece in stream(store, key_prefix + file.path, file.size_bytes):
            running.update(piece)
        if running.found == file.digest:
            digests[file.path] = running.sha256
            meter.found(file.size_bytes)
            meter.file_done()

    workers.each(candidates, read, workers=_READERS, tick=lambda: progress(meter.look()))
    return digests


def _published_as_asked(artifact: WeightsRequest, store: ObjectStore) -> Manifest | None:
    """The manifest of a pinned commit that was pulled with these very patterns: no need to ask the hub."""
    if not is_pinned(artifact.source):
        return None
    commit = str(split_revision(artifact.source)[1])
    found = Manifest.read(store, artifact.name, commit)
    if found is None or (found.include, found.exclude) != (artifact.include, artifact.exclude):
        return None
    _claim(artifact, commit, store)
    return Manifest.read(store, artifact.name, commit)  # a collector may have been at it


def _claim(artifact: WeightsRequest, commit: str, store: ObjectStore) -> Claim:
    """From here on no garbage collection takes away what is there, or what we bring."""
    return claims.claim(store, artifact.name, commit, f"a pull of {artifact.name}")


def _published_meanwhile(artifact: WeightsRequest, commit: str, store: ObjectStore) -> Manifest | None:
    """What another run published while ours failed, if anything."""
    with contextlib.suppress(ArtifactError, ObjectStoreError):
        return Manifest.read(store, artifact.name, commit)
    return None


def _require(published: Manifest, files: tuple[SourceFile, ...], artifact: WeightsRequest) -> None:
    """Raise PublishedDifferentlyError when files that are now asked for were not published."""
    have = {file.path for file in published.files}
    lacking = [file.path for file in files if file.path not in have]
    if lacking:
        raise PublishedDifferentlyError(
            f"{published.prefix}: already published with include={list(published.include)} and "
            f"exclude={list(published.exclude)}, without {len(lacking)} of the files now asked for "
            f"({', '.join(lacking[:3])}{', ...' if len(lacking) > 3 else ''}). Published weights never "
            f"change: give {artifact.name} another name in the catalog, or pin another commit."
        )


def _clear_uploads(store: ObjectStore, published: Manifest) -> None:
    """Abort uploads that interrupted runs left under a prefix which is published: none can be of use."""
    Uploads(store).abort_under(published.prefix)
