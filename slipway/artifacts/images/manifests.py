"""Reading manifests: OCI and Docker schema 2, images and indexes.

Belongs here: from bytes to what they refer to, and which manifests are refused.
Does not: fetching (client.py), following what they refer to (selection.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.artifacts.errors import SourceError
from slipway.artifacts.images.references import new_hash

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
LICENCE = "org.opencontainers.image.licenses"


@dataclass(frozen=True)
class Descriptor:
    """What a manifest says of something that it refers to; `platform` is os/architecture[/variant]."""

    digest: str
    size_bytes: int
    media_type: str
    platform: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def attests(self) -> str | None:
        """The manifest that this attestation of an index (as BuildKit writes them) is about."""
        return self.annotations.get("vnd.docker.reference.digest")


@dataclass(frozen=True)
class Manifest:
    """A manifest with what it refers to: other manifests of an index, blobs of an image."""

    digest: str
    media_type: str
    body: bytes = field(repr=False)
    children: tuple[Descriptor, ...] = ()
    blobs: tuple[Descriptor, ...] = ()
    subject: str | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests."""
        return self.media_type in INDEXES

    @property
    def config(self) -> Descriptor | None:
        """The image configuration, where it is one: artifacts of other kinds have none."""
        return next((blob for blob in self.blobs if blob.media_type in _CONFIGS), None)

    def as_referrer(self) -> dict[str, Any]:
        """Its descriptor in a list of referrers."""
        described: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.body),
        }
        if self.artifact_type:
            described["artifactType"] = self.artifact_type
        if self.annotations:
            described["annotations"] = dict(self.annotations)
        return described


def read_manifest(digest: str, media_type: str, body: bytes, where: str) -> Manifest:
    """Parse a verified manifest; `media_type` is the registry's. Raises SourceError with the remedy."""
    try:
        document: dict[str, Any] = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("not an object")
        kind = str(document.get("mediaType") or media_type)
        return _parse(digest, kind, document, body, where)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{where}: not a manifest: {error!r}. Push the image again.") from error


def _parse(digest: str, kind: str, document: dict[str, Any], body: bytes, where: str) -> Manifest:
    if kind.startswith(_SCHEMA_1) or document.get("schemaVersion") == 1:
        raise SourceError(
            f"{where}: Docker schema 1, which cannot be verified layer by layer. Push the image again with a "
            "current client."
        )
    if kind not in (*INDEXES, *MANIFESTS):
        raise SourceError(f"{where}: {kind or 'no media type'} is not an image's. Name an image.")
    # Two readers could see two images in one document (CVE-2021-41190).
    if "manifests" in document and ("layers" in document or "config" in document):
        raise SourceError(f"{where}: both an image and an index. Push the image again.")
    subject = document.get("subject")
    config = document.get("config") or {}
    blobs: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    if kind in INDEXES:
        children = tuple(_descriptor(entry, where) for entry in document["manifests"])
    else:
        blobs = tuple(_blob(entry, where) for entry in (document["config"], *document["layers"]))
    return Manifest(
        digest=digest,
        media_type=kind,
        body=body,
        children=children,
        blobs=blobs,
        subject=None if subject is None else _descriptor(subject, where).digest,
        artifact_type=document.get("artifactType") or config.get("mediaType"),
        annotations=document.get("annotations") or {},
    )


def _blob(entry: Mapping[str, Any], where: str) -> Descriptor:
    blob = _descriptor(entry, where)
    if entry.get("urls"):
        raise SourceError(
            f"{where}: layer {blob.digest} lies outside the registry ({entry['urls'][0]}) and may not be "
            "copied. Choose platforms without such layers."
        )
    return blob


def _descriptor(entry: Mapping[str, Any], where: str) -> Descriptor:
    digest, size_bytes = str(entry["digest"]), int(entry["size"])
    new_hash(digest, where)
    if size_bytes < 0:
        raise ValueError(f"size {size_bytes}")
    return Descriptor(
        digest=digest,
        size_bytes=size_bytes,
        media_type=str(entry.get("mediaType", "")),
        platform=platform_of(entry.get("platform")),
        annotations=entry.get("annotations") or {},
    )


def platform_of(named: Mapping[str, Any] | None) -> str | None:
    """`os/architecture[/variant]` of a platform object or an image configuration."""
    if not named or not named.get("os") or not named.get("architecture"):
        return None
    return "/".join(filter(None, (named["os"], named["architecture"], named.get("variant"))))


def fits(platform: str | None, wanted: str) -> bool:
    """Whether a platform is the one that is wanted; without a variant, any variant is."""
    return platform is not None and f"{platform}/".startswith(f"{wanted}/")
