"""What can go wrong with an image, besides what can go wrong with any artifact (slipway.artifacts.errors).

Belongs here: the types. Does not: the messages, which are written where registry, image and remedy are known.
"""

from __future__ import annotations

from slipway.artifacts.errors import ArtifactError, SourceError


class MissingManifestError(SourceError):
    """A manifest that something names is not at its source."""


class TargetError(ArtifactError):
    """The local registry cannot take it: read-only, full, deletion not allowed, or it refuses the image."""


class DigestRefusedError(TargetError):
    """The local registry was sent other bytes than the digest's, and did not take them."""


class MissingBlobError(TargetError):
    """The local registry does not know a blob or manifest that a manifest names."""
