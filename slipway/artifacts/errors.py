"""What can go wrong with an artifact, one type per kind of trouble that a caller treats differently.

Belongs here: the types. Does not: the messages, which are written where file, value and remedy are known.
"""

from __future__ import annotations


class ArtifactError(RuntimeError):
    """Base: nothing was published. `retriable` says whether the same call may succeed later."""

    retriable = False


class SourceError(ArtifactError):
    """The source is not as the catalog says: no such repository, revision or file, or an unusable path."""


class AccessError(SourceError):
    """The source refuses us: gated without a token, or with one that it does not accept."""


class SourceUnavailableError(ArtifactError):
    """The source or the store failed for longer than we were willing to try again."""

    retriable = True


class CorruptFileError(ArtifactError):
    """Bytes that do not match their digest or size, at the source, in the store or on the node."""


class PublishedDifferentlyError(ArtifactError):
    """The commit is published without files that are now asked for; what is published never changes."""


class NotPublishedError(ArtifactError):
    """There is no manifest: as far as anyone may know, these weights do not exist."""


class NoSpaceError(ArtifactError):
    """The node cache has no room: its bound, or the disk that it lies on."""
