"""Which manifests belong to an image: the index or the chosen platforms, all that they list, in push order.

Belongs here: walking from a digest down.
Does not: what is attached to them from outside (attachments.py), copying (mirror.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from slipway.artifacts.errors import CorruptFileError, SourceError
from slipway.artifacts.images.client import Fetched, RegistryClient
from slipway.artifacts.images.errors import MissingManifestError
from slipway.artifacts.images.manifests import (
    Descriptor,
    Manifest,
    fits,
    platform_of,
    read_manifest,
)
from slipway.artifacts.images.references import Repository
from slipway.artifacts.images.registry_answers import LARGEST_MANIFEST_BYTES

# An index of indexes exists in practice; deeper is somebody's mistake.
_DEEPEST = 4


@dataclass(frozen=True)
class Platform:
    """One platform of an image and the manifest to run there."""

    name: str
    digest: str


@dataclass(frozen=True)
class Selection:
    """Manifests to push, children before parents; `whole` when the root is among them."""

    root: Manifest
    manifests: tuple[Manifest, ...]
    platforms: tuple[Platform, ...]
    whole: bool

    @property
    def subjects(self) -> tuple[str, ...]:
        """Digests that something may be attached to, the root included even where it is not pushed."""
        return tuple(dict.fromkeys((self.root.digest, *(manifest.digest for manifest in self.manifests))))


class ManifestReader:
    """Reads manifests by digest: what the local registry has is not asked of the source again."""

    def __init__(
        self, source: RegistryClient, target: RegistryClient, repository: Repository, mirrored: Repository
    ) -> None:
        self.source, self.target = source, target
        self.repository, self.mirrored = repository, mirrored
        self._read: dict[str, Manifest] = {}

    def manifest(self, digest: str) -> Manifest:
        """The manifest of a digest. Raises SourceError when the source lacks it."""
        if digest not in self._read:
            where = f"{self.repository}@{digest}"
            self._read[digest] = _parsed(self._fetched(digest, where), where)
        return self._read[digest]

    def config(self, manifest: Manifest) -> dict[str, object]:
        """The image configuration; empty for an artifact that has none."""
        described = manifest.config
        if described is None:
            return {}
        client, at = self.source, self.repository
        if self.target.blob_size(self.mirrored, described.digest) is not None:
            client, at = self.target, self.mirrored
        body = client.blob(at, described.digest, LARGEST_MANIFEST_BYTES)
        try:
            configuration = json.loads(body)
        except ValueError as error:
            raise SourceError(
                f"{at}: configuration {described.digest} is not JSON. Push it again."
            ) from error
        return configuration if isinstance(configuration, dict) else {}

    def _fetched(self, digest: str, where: str) -> Fetched:
        try:
            fetched = self.target.manifest(self.mirrored, digest)
        except CorruptFileError:
            fetched = None  # written again from the source
        fetched = fetched or self.source.manifest(self.repository, digest)
        if fetched is None:
            raise MissingManifestError(
                f"{where}: no such manifest at its source. Correct the digest, or push the image there again."
            )
        return fetched


def select(reader: ManifestReader, digest: str, platforms: Iterable[str]) -> Selection:
    """The image's manifests, all or those of the chosen platforms.

    Raises SourceError when a chosen platform is not there, or a manifest is not usable.
    """
    root = reader.manifest(digest)
    wanted = tuple(platforms)
    if not wanted:
        manifests = _in_push_order(reader, [root])
        return Selection(root, manifests, tuple(_platforms(reader, root)), whole=True)
    offered = tuple(_platforms(reader, root))
    chosen = tuple(platform for platform in offered if any(fits(platform.name, name) for name in wanted))
    for name in wanted:
        if not any(fits(platform.name, name) for platform in chosen):
            there = ", ".join(platform.name for platform in offered) or "none that it names"
            raise SourceError(
                f"{reader.repository}@{digest}: platform {name} is not in it; it has {there}. "
                "Correct platforms in the catalog, or name another image."
            )
    roots = [reader.manifest(platform.digest) for platform in chosen]
    digests = {manifest.digest for manifest in roots}
    attestations = [reader.manifest(leaf.digest) for leaf in _leaves(reader, root) if leaf.attests in digests]
    manifests = _in_push_order(reader, [*roots, *attestations])
    return Selection(root, manifests, chosen, whole=root.digest in digests)


def _platforms(reader: ManifestReader, root: Manifest) -> Iterator[Platform]:
    if not root.is_index:
        name = platform_of(reader.config(root))
        if name is not None:
            yield Platform(name, root.digest)
        return
    for leaf in _leaves(reader, root):
        if leaf.platform is not None and leaf.attests is None and not leaf.platform.startswith("unknown/"):
            yield Platform(leaf.platform, leaf.digest)


def _leaves(reader: ManifestReader, manifest: Manifest, depth: int = 1) -> Iterator[Descriptor]:
    """The entries of an index that are images, those of nested indexes included."""
    for child in manifest.children:
        listed = _child(reader, manifest, child, depth)
        if listed.is_index:
            yield from _leaves(reader, listed, depth + 1)
        else:
            yield child


def _in_push_order(reader: ManifestReader, roots: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """These manifests and all below them, each once, children before parents."""
    ordered: dict[str, Manifest] = {}

    def add(manifest: Manifest, depth: int) -> None:
        for child in manifest.children:
            if child.digest not in ordered:
                add(_child(reader, manifest, child, depth), depth + 1)
        ordered.setdefault(manifest.digest, manifest)

    for root in roots:
        add(root, 1)
    return tuple(ordered.values())


def _child(reader: ManifestReader, parent: Manifest, child: Descriptor, depth: int) -> Manifest:
    where = f"{reader.repository}@{parent.digest}"
    if depth > _DEEPEST:
        raise SourceError(f"{where}: indexes within indexes, deeper than {_DEEPEST}. Name one of them.")
    if child.size_bytes > LARGEST_MANIFEST_BYTES:
        raise SourceError(
            f"{where}: manifest {child.digest} has {child.size_bytes} bytes, larger than "
            f"{LARGEST_MANIFEST_BYTES}, the most that registries take. Build it with fewer layers."
        )
    manifest = reader.manifest(child.digest)
    if len(manifest.body) != child.size_bytes:
        raise CorruptFileError(
            f"{where}: manifest {child.digest} has {len(manifest.body)} bytes; its index says "
            f"{child.size_bytes}. Nothing was published. Push the image again."
        )
    return manifest


def _parsed(fetched: Fetched, where: str) -> Manifest:
    return read_manifest(fetched.digest, fetched.media_type, fetched.body, where)
