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

from slipway.artifacts.errors import AccessError, CorruptFileError, SourceError
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

    `fallbacks` holds the source's own stand-in index of a subject, to be kept byte for byte. `left_out` says
    what could not come along, and why: an image is not held up by what others attached to it.
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    referrers: dict[str, list[Manifest]] = field(default_factory=dict)
    fallbacks: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, digests: Iterable[str], why: str) -> None:
        """Take these manifests out again, with all that lists them, and lists that would name them."""
        gone = set(digests) & self.manifests.keys()
        if not gone:
            return
        self.left_out.append(why)
        while True:
            above = {
                manifest.digest
                for manifest in self.manifests.values()
                if any(child.digest in gone for child in manifest.children)
            }
            if above <= gone:
                break
            gone |= above
        for digest in gone:
            self.manifests.pop(digest, None)
        self.tags = {tag: digest for tag, digest in self.tags.items() if digest not in gone}
        for subject, referrers in list(self.referrers.items()):
            kept = [referrer for referrer in referrers if referrer.digest not in gone]
            if len(kept) < len(referrers):
                self.fallbacks.pop(subject, None)
            self.referrers[subject] = kept
            if not kept:
                del self.referrers[subject]


def find(reader: ManifestReader, subjects: Iterable[str]) -> Attached:
    """All that the source has attached to these digests. Raises ArtifactError when it cannot be asked."""
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
    left_out: tuple[str, ...] = ()


def _add_all(reader: ManifestReader, attached: Attached, subjects: tuple[str, ...], depth: int) -> None:
    """Add what is attached to the subjects, and then to what was found, down to the deepest."""
    referring: list[str] = []
    with ThreadPoolExecutor(_QUESTIONS) as pool:  # an index of many platforms asks for four things of each
        answers = list(pool.map(lambda subject: _ask(reader, subject, depth), subjects))
    for asked in answers:
        attached.left_out += asked.left_out
        for tag, digest in asked.tags.items():
            if _add(reader, attached, digest, f"tag {tag}"):
                attached.tags[tag] = digest
        if asked.fallback is not None:
            attached.fallbacks[asked.subject] = asked.fallback
        referring += _add_referrers(reader, attached, asked)
    if referring and depth < _DEEPEST:
        _add_all(reader, attached, tuple(dict.fromkeys(referring)), depth + 1)


def _add_referrers(reader: ManifestReader, attached: Attached, asked: _Asked) -> list[str]:
    """Add those of one subject; returns the digests of those that came along."""
    came: list[str] = []
    for digest in dict.fromkeys(str(descriptor.get("digest", "")) for descriptor in asked.referrers):
        added = _add(reader, attached, digest, f"referrer {digest}", asked.subject)
        if added is None:
            # A registry would refuse a list with what is not there.
            attached.fallbacks.pop(asked.subject, None)
            continue
        attached.referrers.setdefault(asked.subject, []).append(added)
        came.append(digest)
    return came


def _add(
    reader: ManifestReader, attached: Attached, digest: str, what: str, subject: str | None = None
) -> Manifest | None:
    """Add a manifest and all below it; None when it cannot come along, which is noted.

    Who names another than this subject, or none, is no referrer of it, whatever a list says.
    """
    try:
        found = select(reader, digest, ())
    except AccessError:
        raise  # about the whole source
    except MissingManifestError:
        return None  # removed at the source, whose list or tag still has it
    except (SourceError, CorruptFileError) as error:
        attached.left_out.append(f"{what} is left out: {error}")
        return None
    if subject not in (None, found.root.subject):
        return None
    for manifest in found.manifests:
        attached.manifests.setdefault(manifest.digest, manifest)
    return found.root


def _ask(reader: ManifestReader, subject: str, depth: int) -> _Asked:
    source, repository = reader.source, reader.repository
    tags = {tag: source.resolve(repository, tag) for tag in cosign_tags(subject)} if depth == 1 else {}
    there = {tag: digest for tag, digest in tags.items() if digest not in (None, subject)}
    listed = source.referrers(repository, subject)
    if listed is not None:
        return _Asked(subject, there, [each for each in listed if each.get("digest") != subject], None)
    fetched = source.manifest(repository, referrers_tag(subject))
    # Some registries (GitLab's) take the tag for the digest, and answer with the subject itself.
    if fetched is None or fetched.digest == subject:
        return _Asked(subject, there, [], None)
    try:
        listed = entries(fetched.body, f"{repository}:{referrers_tag(subject)}")
    except SourceError as error:
        return _Asked(subject, there, [], None, (f"referrers of {subject} are left out: {error}",))
    return _Asked(subject, there, listed, fetched.body)


def entries(body: bytes, where: str) -> list[dict[str, Any]]:
    """The descriptors of an index; raises SourceError when it is none."""
    try:
        return [listed for listed in json.loads(body)["manifests"] if isinstance(listed, dict)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
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
