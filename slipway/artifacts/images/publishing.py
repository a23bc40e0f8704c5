"""Writing an image's manifests and tags to the local registry: only what is not there already.

Belongs here: manifests children first, lists of referrers, tags last.
Does not: blobs (blobs.py), which manifests there are (selection.py, attachments.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from slipway.artifacts.images.attachments import Attached, fallback_index
from slipway.artifacts.images.client import RegistryClient
from slipway.artifacts.images.errors import MissingBlobError, TargetError
from slipway.artifacts.images.manifests import INDEXES, Manifest
from slipway.artifacts.images.references import (
    Repository,
    digest_of,
    kept_tag,
    platform_tag,
    referrers_tag,
)
from slipway.artifacts.images.selection import Selection


@dataclass(frozen=True)
class Publisher:
    """Writes to one repository of the local registry."""

    target: RegistryClient
    mirrored: Repository

    def manifests(self, manifests: Iterable[Manifest]) -> None:
        """Push these, in this order, byte for byte."""
        for manifest in manifests:
            self._put(manifest.digest, manifest.digest, manifest.media_type, manifest.body)

    def attachments(self, attached: Attached, own: Collection[str]) -> None:
        """Push what is attached, but what is the image's `own`; what the registry does not take is left out.

        Raises ArtifactError when it takes nothing: then it is not about the attachment.
        """
        for manifest in list(attached.manifests.values()):
            if manifest.digest in own or manifest.digest not in attached.manifests:
                continue
            try:
                self.manifests([manifest])
            except MissingBlobError:
                raise
            except TargetError as error:
                attached.leave_out([manifest.digest], f"{manifest.digest} is left out: {error}")

    def attached(self, attached: Attached) -> tuple[str, ...]:
        """Put the tags of what is attached, and lists of referrers; returns the tags."""
        for tag, digest in attached.tags.items():
            self._tag(tag, attached.manifests[digest])
        lists = [self._referrers(subject, attached) for subject in attached.referrers]
        return (*attached.tags, *(tag for tag in lists if tag is not None))

    def tags(self, selection: Selection, tag: str | None) -> tuple[str, ...]:
        """Put the image's tags: those that never move first, then the source's; returns them."""
        wanted = image_tags(selection, tag)
        for name, manifest in wanted.items():
            self._tag(name, manifest)
        return tuple(wanted)

    def _referrers(self, subject: str, attached: Attached) -> str | None:
        """See to it that the registry lists who refers to a subject; returns the tag that it took, if any."""
        referrers = attached.referrers[subject]
        listed = self.target.referrers(self.mirrored, subject)
        if listed is not None:
            known = {str(descriptor.get("digest")) for descriptor in listed}
            for referrer in referrers:
                if referrer.digest not in known:  # pushed before the registry kept lists
                    self.target.put_manifest(
                        self.mirrored, referrer.digest, referrer.media_type, referrer.body
                    )
            return None
        tag = referrers_tag(subject)
        existing = self.target.manifest(self.mirrored, tag)
        body = fallback_index(existing.body if existing else None, attached.fallbacks.get(subject), referrers)
        if body is not None:
            self._put(tag, digest_of(body), INDEXES[0], body)
        return tag

    def _tag(self, tag: str, manifest: Manifest) -> None:
        self._put(tag, manifest.digest, manifest.media_type, manifest.body)

    def _put(self, reference: str, digest: str, media_type: str, body: bytes) -> None:
        if self.target.resolve(self.mirrored, reference) != digest:
            self.target.put_manifest(self.mirrored, reference, media_type, body)


def image_tags(selection: Selection, tag: str | None) -> Mapping[str, Manifest]:
    """The tags of an image in the order in which they are put.

    Each pushed root gets one that never moves. The source's tag names the whole image; where platforms were
    chosen, each platform's manifest has the tag with the platform's name.
    """
    by_digest = {manifest.digest: manifest for manifest in selection.manifests}
    if selection.whole:
        named = {tag: selection.root} if tag else {}
        return {kept_tag(selection.root.digest): selection.root, **named}
    roots = [(platform.name, by_digest[platform.digest]) for platform in selection.platforms]
    kept = {kept_tag(manifest.digest): manifest for _, manifest in roots}
    named = {platform_tag(tag, name): manifest for name, manifest in roots if tag}
    return {**kept, **named}
