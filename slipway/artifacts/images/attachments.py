"""What is attached to an image from outside: cosign's signatures, attestations, SBOMs, and OCI referrers.

Belongs here: finding them, and the index that stands in for a referrers list where a registry has none.
Does not: copying (mirror.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from slipway.artifacts.errors import SourceError
from slipway.artifacts.images.errors import MissingManifestError
from slipway.artifacts.images.manifests import INDEXES, Manifest
from slipway.artifacts.images.references import cosign_tags, referrers_tag
from slipway.artifacts.images.selection import ManifestReader, select

# A signature of an SBOM of an image is a referrer of a referrer; deeper is not followed.
_DEEPEST = 3
_QUESTIONS = 8


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
    attached = Attached()
    _add_all(reader, attached, tuple(subjects), 1)
    return attached


@dataclass(frozen=True)
class _Asked:
    """What the source says of one subject."""

    subject: str
    tags: dict[str, str]
    referrers: list[dict[str, Any]]
    fallback: bytes | None


def _add_all(reader: ManifestReader, attached: Attached, subjects: tuple[str, ...], depth: int) -> None:
    """Add what is attached to the subjects, and then to what was found, down to the deepest."""
    referring: list[str] = []
    with ThreadPoolExecutor(_QUESTIONS) as pool:  # an index of many platforms asks for four things of each
        answers = list(pool.map(lambda subject: _ask(reader, subject, depth), subjects))
    for asked in answers:
        attached.tags |= asked.tags
        if asked.fallback is not None:
            attached.fallbacks[asked.subject] = asked.fallback
        for digest in asked.tags.values():
            _add(reader, attached, digest)
        for digest in dict.fromkeys(str(descriptor.get("digest", "")) for descriptor in asked.referrers):
            try:
                _add(reader, attached, digest)
            except MissingManifestError:
                # Removed at the source, whose list still has it: a registry would refuse that list.
                attached.fallbacks.pop(asked.subject, None)
                continue
            attached.referrers.setdefault(asked.subject, []).append(reader.manifest(digest))
            referring.append(digest)
    if referring and depth < _DEEPEST:
        _add_all(reader, attached, tuple(dict.fromkeys(referring)), depth + 1)


def _add(reader: ManifestReader, attached: Attached, digest: str) -> None:
    for manifest in select(reader, digest, ()).manifests:
        attached.manifests.setdefault(manifest.digest, manifest)


def _ask(reader: ManifestReader, subject: str, depth: int) -> _Asked:
    source, repository = reader.source, reader.repository
    tags = {tag: source.resolve(repository, tag) for tag in cosign_tags(subject)} if depth == 1 else {}
    there = {tag: digest for tag, digest in tags.items() if digest is not None}
    listed = source.referrers(repository, subject)
    if listed is not None:
        return _Asked(subject, there, listed, None)
    fetched = source.manifest(repository, referrers_tag(subject))
    if fetched is None:
        return _Asked(subject, there, [], None)
    where = f"{repository}:{referrers_tag(subject)}"
    return _Asked(subject, there, entries(fetched.body, where), fetched.body)


def entries(body: bytes, where: str) -> list[dict[str, Any]]:
    """The descriptors of an index; raises SourceError when it is none."""
    try:
        return [listed for listed in json.loads(body)["manifests"] if isinstance(listed, dict)]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{where}: not an index of referrers. Remove that tag.") from error


def fallback_index(existing: bytes | None, ours: bytes | None, referrers: Iterable[Manifest]) -> bytes | None:
    """The stand-in index to write at the local registry, or None when the existing one lists them all.

    `ours` is the source's: kept as it is where there is none yet, so that digests stay the same.
    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
    """
    wanted: dict[str, Mapping[str, Any]] = {referrer.digest: referrer.as_referrer() for referrer in referrers}
    if existing is None and ours is not None:
        return ours
    listed = {str(entry.get("digest")): entry for entry in _entries_or_none(existing)}
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
