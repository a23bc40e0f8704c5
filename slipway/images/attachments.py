"""What is attached to an image from outside: cosign's signatures, attestations, SBOMs, and OCI referrers.

Belongs here: finding them, and the index that stands in for a referrers list where a registry has none.
Does not: copying (mirror.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.artifacts.errors import SourceError
from slipway.images.manifests import INDEXES, Manifest
from slipway.images.references import cosign_tags, referrers_tag
from slipway.images.selection import ManifestReader, select

# A signature of an SBOM of an image is a referrer of a referrer; deeper is not followed.
_DEEPEST = 3


@dataclass
class Attached:
    """Manifests to push besides the image's, in order; tags to put; and by subject, who refers to it.

    `fallbacks` holds the source's own stand-in index of a subject, to be kept byte for byte.
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    referrers: dict[str, list[Manifest]] = field(default_factory=dict)
    fallbacks: dict[str, bytes] = field(default_factory=dict)


def find(reader: ManifestReader, subjects: Iterable[str]) -> Attached:
    """All that the source has attached to these digests. Raises ArtifactError."""
    found = Attached()
    for subject in subjects:
        for tag in cosign_tags(subject):
            digest = reader.source.resolve(reader.repository, tag)
            if digest is not None:
                found.tags[tag] = digest
                _add(reader, found, digest)
        _add_referrers(reader, found, subject, 1)
    return found


def _add(reader: ManifestReader, found: Attached, digest: str) -> None:
    for manifest in select(reader, digest, ()).manifests:
        found.manifests.setdefault(manifest.digest, manifest)


def _add_referrers(reader: ManifestReader, found: Attached, subject: str, depth: int) -> None:
    for descriptor in _referrers(reader, found, subject):
        digest = str(descriptor.get("digest", ""))
        if digest in found.manifests and digest in {each.digest for each in found.referrers.get(subject, [])}:
            continue
        _add(reader, found, digest)
        found.referrers.setdefault(subject, []).append(reader.manifest(digest))
        if depth < _DEEPEST:
            _add_referrers(reader, found, digest, depth + 1)


def _referrers(reader: ManifestReader, found: Attached, subject: str) -> list[dict[str, Any]]:
    """The source's list: from its API, or from the fallback tag where it has none."""
    listed = reader.source.referrers(reader.repository, subject)
    if listed is not None:
        return listed
    fetched = reader.source.manifest(reader.repository, referrers_tag(subject))
    if fetched is None:
        return []
    found.fallbacks[subject] = fetched.body
    return entries(fetched.body, f"{reader.repository}:{referrers_tag(subject)}")


def entries(body: bytes, where: str) -> list[dict[str, Any]]:
    """The descriptors of an index; raises SourceError when it is none."""
    try:
        return [each for each in json.loads(body)["manifests"] if isinstance(each, dict)]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{where}: not an index of referrers. Remove that tag.") from error


def fallback_index(existing: bytes | None, ours: bytes | None, referrers: Iterable[Manifest]) -> bytes | None:
    """The stand-in index to write at the local registry, or None when the existing one lists them all.

    `ours` is the source's: kept as it is where there is none yet, so that digests stay the same.
    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
    """
    wanted: dict[str, Mapping[str, Any]] = {each.digest: each.as_referrer() for each in referrers}
    if existing is None and ours is not None:
        return ours
    listed = {str(each.get("digest")): each for each in _entries_or_none(existing)}
    if wanted.keys() <= listed.keys():
        return None
    index = {
        "schemaVersion": 2,
        "mediaType": INDEXES[0],
        "manifests": [
            *listed.values(),
            *(wanted[digest] for digest in sorted(wanted.keys() - listed.keys())),
        ],
    }
    return json.dumps(index, separators=(",", ":")).encode()


def _entries_or_none(body: bytes | None) -> list[dict[str, Any]]:
    return [] if body is None else entries(body, "the local registry's list of referrers")
