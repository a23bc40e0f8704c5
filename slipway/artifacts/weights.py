"""Pulling weights: from a catalog's source to a published, verified manifest in the store.

Belongs here: what a pull is, in order, and what is published.
Does not: reading sources (hub.py), bringing their bytes (delivery.py), what is shown of it (the caller).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

from slipway.artifacts import claims
from slipway.artifacts.claims import Claim
from slipway.artifacts.delivery import Delivery
from slipway.artifacts.errors import ArtifactError, PublishedDifferentlyError
from slipway.artifacts.manifest import Manifest, ManifestFile, prefix
from slipway.artifacts.paths import wanted
from slipway.artifacts.progress import Meter, Progress, Report
from slipway.artifacts.source import Snapshot, Source, SourceFile
from slipway.artifacts.transfer import TransferSettings
from slipway.artifacts.uploads import Uploads
from slipway.artifacts.verification import Mismatch, verify
from slipway.catalog.documents import Adapter, Model
from slipway.catalog.fields import Name, SecretRef, Spec, is_pinned, split_revision
from slipway.catalog.fields import Source as SourceText
from slipway.objectstore import ObjectStore, ObjectStoreError

__all__ = ["Mismatch", "WeightsRequest", "pull", "resolve_commit", "verify"]


class _OvertakenError(ArtifactError):
    """Another run published the same weights while ours was under way."""

    retriable = True


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
    offered = snapshot.files()
    files = wanted(offered, artifact.include, artifact.exclude, source=source)
    claim = _claim(artifact, snapshot.commit, store)
    published = Manifest.read(store, artifact.name, snapshot.commit)
    if published is None:
        try:
            published = _publish(artifact, source, snapshot, offered, files, store, progress, settings, claim)
        except (ArtifactError, ObjectStoreError):
            published = _published_meanwhile(artifact, snapshot.commit, store)
            if published is None:
                raise
    _require(published, files, artifact)
    _clear_uploads(store, published)
    return published


def _publish(
    artifact: WeightsRequest,
    source: str,
    snapshot: Snapshot,
    offered: tuple[SourceFile, ...],
    files: tuple[SourceFile, ...],
    store: ObjectStore,
    progress: Report,
    settings: TransferSettings | None,
    claim: Claim,
) -> Manifest:
    """Bring what is missing and create the manifest; returns the one that is there in the end."""

    def look(now: Progress) -> None:
        claim.renew()
        progress(now)

    def overtaken() -> None:
        if Manifest.read(store, artifact.name, snapshot.commit) is not None:
            raise _OvertakenError(f"{source}: published by another run. Run this again.")

    key_prefix = prefix(artifact.name, snapshot.commit)
    meter = Meter(sum(file.size_bytes for file in files), len(files))
    delivery = Delivery(snapshot, store, settings or TransferSettings(), source, key_prefix, overtaken)
    digests = delivery.run(files, meter, look)
    patterns = f"include={list(artifact.include)} and exclude={list(artifact.exclude)}"
    delivery.inspection.require(files, offered, source, patterns)
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
