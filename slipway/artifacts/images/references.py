"""Digests, tags and where an image lies in the local registry.

Belongs here: names, as pure functions. Does not: asking any registry.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from slipway.artifacts.errors import SourceError
from slipway.catalog.image_names import split_image
from slipway.environment import RegistryLocation

# https://github.com/opencontainers/image-spec/blob/main/descriptor.md#registered-algorithms
_DIGEST = {"sha256": re.compile(r"^[0-9a-f]{64}$"), "sha512": re.compile(r"^[0-9a-f]{128}$")}
_LONGEST_TAG = 128
_LONGEST_REPOSITORY = 255


@dataclass(frozen=True)
class Repository:
    """A repository of one registry."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    @classmethod
    def of_image(cls, image: str) -> Repository:
        """The repository that a catalog's image names; raises ValueError."""
        return cls(*split_image(image))

    def mirrored_to(self, target: RegistryLocation) -> Repository:
        """Where its images lie in the local registry: prefix, source host, path.

        The host is part of the path, so that equal paths of two registries do not meet; `:` before a port
        becomes `_`, which no host has.
        """
        path = "/".join(filter(None, (target.prefix, self.host.replace(":", "_"), self.path)))
        if len(path) > _LONGEST_REPOSITORY:
            raise SourceError(
                f"{self}: its name in the local registry, {path}, is longer than {_LONGEST_REPOSITORY} "
                "characters. Shorten the path in SLIPWAY_REGISTRY."
            )
        return Repository(target.host, path)


def new_hash(digest: str, where: str) -> Any:
    """A running hash of the digest's algorithm; raises SourceError for one that cannot be verified."""
    algorithm, _, hexadecimal = digest.partition(":")
    form = _DIGEST.get(algorithm)
    if form is None:
        raise SourceError(
            f"{where}: digest {digest[:80]}: unknown algorithm {algorithm[:40]!r}. Only "
            f"{' and '.join(_DIGEST)} can be verified: push the image again with one of them."
        )
    if not form.match(hexadecimal):
        raise SourceError(f"{where}: {digest[:160]!r} is not a digest. Push the image again.")
    return hashlib.new(algorithm)


def digest_of(body: bytes, like: str = "sha256:") -> str:
    """Digest of bytes, by the algorithm of another digest."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def is_digest(reference: str) -> bool:
    """Whether a reference is a digest; tags hold no colon."""
    return ":" in reference


def kept_tag(digest: str) -> str:
    """A tag that never moves, so that a registry which clears untagged manifests leaves this one."""
    algorithm, _, hexadecimal = digest.partition(":")
    return f"slipway-{algorithm}-{hexadecimal}"[:_LONGEST_TAG]


def platform_tag(tag: str, platform: str) -> str:
    """Tag of one platform's manifest that is pushed without its index."""
    return f"{tag}-{platform.replace('/', '-')}"[:_LONGEST_TAG]


def referrers_tag(digest: str) -> str:
    """Fallback tag of what refers to a digest.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
    """
    algorithm, _, hexadecimal = digest.partition(":")
    return f"{algorithm[:32]}-{hexadecimal[:64]}"


def cosign_tags(digest: str) -> tuple[str, ...]:
    """Tags under which cosign keeps signatures, attestations and SBOMs of a digest."""
    named = digest.replace(":", "-")
    return tuple(f"{named}.{kind}"[:_LONGEST_TAG] for kind in ("sig", "att", "sbom"))
