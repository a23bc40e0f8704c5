"""Pulling weights: from a catalog's source to a published, verified manifest in the store.

Belongs here: what a pull is, in order, and when nothing is to be done.
Does not: reading sources (slipway.artifacts.sources), bringing and publishing (publishing.py), showing it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from slipway.artifacts.errors import ArtifactError, PublishedDifferentlyError
from slipway.artifacts.source import Source, SourceFile, is_never_published
from slipway.artifacts.transfer.progress import Progress
from slipway.artifacts.transfer.retry import CallWaits
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.transfer.watch import TransferSettings
from slipway.artifacts.weights import claims
from slipway.artifacts.weights.claims import Claim
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.paths import wanted
from slipway.artifacts.weights.publishing import Publication, Shown
from slipway.catalog.documents import Adapter, Model
from slipway.catalog.fields import Name, SecretRef, Spec, is_pinned, split_revision
from slipway.catalog.fields import Source as SourceText
from slipway.objectstore import ObjectStore, ObjectStoreError


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


def pull(
    artifact: WeightsRequest,
    store: ObjectStore,
    hub: Source,
    progress: Callable[[Progress], None],
    settings: TransferSettings | None = None,
    *,
    note: Callable[[str], None] | None = None,
    repair: bool = False,
) -> Manifest:
    """Bring the request's files into the store and publish their manifest; returns what is published.

    Harmless to repeat, to interrupt and to run twice at a time: files appear verified or not at all, the
    manifest is created once and last, and what is published is returned without moving a byte, unless a
    listing shows that files of it are missing: those are fetched again. With `repair` all that is published
    is read back, and what is wrong is fetched again. `note` gets lines for people, such as what is waited
    for. Raises ArtifactError or ObjectStoreError; then nothing was published by this call.
    """
    say = note or _silent
    settings = settings or TransferSettings()
    store = store.outlasting(partial(CallWaits, replace(settings.retry, tell=say)))
    published = None if repair else _published_as_asked(artifact, store, say)
    if published is not None:
        _clear_uploads(store, published)
        return published
    location, revision = split_revision(artifact.source)
    snapshot = hub.resolve(location, revision, artifact.token)
    source = f"{location}@{snapshot.commit}"
    offered = snapshot.files()
    files = wanted(offered, artifact.include, artifact.exclude, source=source)
    with _claimed(artifact, snapshot.commit, store, say) as claim:
        run = Publication(artifact.name, source, snapshot, store, claim, progress, settings)
        published = Manifest.read(store, artifact.name, snapshot.commit)
        if published is not None:
            _mend(run, published, offered, say, everything=repair)
        else:
            published = _publish(run, artifact, offered, files)
    _require(published, files, artifact)
    _clear_uploads(store, published)
    return published


def _publish(
    run: Publication,
    artifact: WeightsRequest,
    offered: tuple[SourceFile, ...],
    files: tuple[SourceFile, ...],
) -> Manifest:
    """Publish the files; what another run published meanwhile counts as well."""
    try:
        return run.publish(offered, files, Shown(artifact.licence, artifact.include, artifact.exclude))
    except (ArtifactError, ObjectStoreError):
        with contextlib.suppress(ArtifactError, ObjectStoreError):
            meanwhile = Manifest.read(run.store, artifact.name, run.snapshot.commit)
            if meanwhile is not None:
                return meanwhile
        raise


def _mend(
    run: Publication,
    published: Manifest,
    offered: tuple[SourceFile, ...],
    say: Callable[[str], None],
    *,
    everything: bool,
) -> None:
    """Fetch again what is missing of published weights, or with `everything` whatever reads back wrong."""
    damaged = _damaged(published, run.store)
    if damaged and not everything:
        say(f"{published.prefix}: {len(damaged)} files are missing or cut off; fetching them again")
    # Earlier versions published what tools keep beside weights; nobody needs it mended.
    every = frozenset(file.path for file in published.files if not is_never_published(file.path))
    paths = every if everything else damaged
    if paths:
        run.repair(published, offered, paths)


def _damaged(published: Manifest, store: ObjectStore) -> frozenset[str]:
    """Files that are not there, or not in their size, as far as a listing shows."""
    stored = {item.key: item.size_bytes for item in store.list(published.prefix)}
    return frozenset(
        file.path for file in published.files if stored.get(published.prefix + file.path) != file.size_bytes
    )


def _published_as_asked(
    artifact: WeightsRequest, store: ObjectStore, say: Callable[[str], None]
) -> Manifest | None:
    """The manifest of a pinned commit that was pulled with these very patterns: no need to ask the hub."""
    if not is_pinned(artifact.source):
        return None
    commit = str(split_revision(artifact.source)[1])
    published = Manifest.read(store, artifact.name, commit)
    if published is None or (published.include, published.exclude) != (artifact.include, artifact.exclude):
        return None
    with _claimed(artifact, commit, store, say):
        published = Manifest.read(store, artifact.name, commit)  # a collector may have been at it
        return None if published is None or _damaged(published, store) else published


@contextlib.contextmanager
def _claimed(
    artifact: WeightsRequest, commit: str, store: ObjectStore, say: Callable[[str], None]
) -> Iterator[Claim]:
    """Meanwhile no garbage collection takes away what is there, or what we bring."""
    claim = claims.claim(store, artifact.name, commit, f"a pull of {artifact.name}", report=say)
    try:
        yield claim
    finally:
        claim.release()


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


def _silent(line: str) -> None:
    """Report to nobody."""
