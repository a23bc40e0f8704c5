"""What a registry's answer means when it is not the one that was asked for.

Belongs here: from status and error document to the exception with the remedy.
Does not: requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from slipway.artifacts.errors import AccessError, ArtifactError, SourceError
from slipway.artifacts.images.access import RegistryAccess
from slipway.artifacts.images.errors import MissingBlobError, TargetError
from slipway.artifacts.transfer.retry import TransientError, retry_after_s

# The size that the specification tells registries to take; distribution takes as much and no more.
LARGEST_MANIFEST_BYTES = 4 * 2**20
_FULL = ("no space left", "file too large", "quota")
_BLOB_UNKNOWN = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})
_MOST_TEXT = 300


def trouble(
    access: RegistryAccess, what: str, status: int, headers: Mapping[str, str], body: bytes
) -> ArtifactError | TransientError:
    """The exception for an answer that is not a success; `what` was asked for."""
    codes, said = _errors(body)
    where = f"{what}: {access.host} answered {status}{f' ({said})' if said else ''}"
    if any(word in said.lower() for word in _FULL) or status in {413, 507}:
        return TargetError(f"{where}: it has no room. Free space there, then run this again.")
    if status == 429 or status >= 500:
        wait = retry_after_s(headers.get("Retry-After"), datetime.now(UTC))
        # distribution on a full disk answers so, and says no more.
        full = " Its storage may be full: see its log." if access.side == "target" and status == 500 else ""
        return TransientError(f"{where}.{full}", wait)
    if status in {401, 403}:
        return AccessError(f"{where}. {access.refused}")
    if status == 405 or "UNSUPPORTED" in codes:
        return TargetError(
            f"{where}: it does not allow this. If it is read-only, make it writable; to remove images, "
            "allow deletion (distribution: storage.delete.enabled). Then run this again."
        )
    if access.side == "target" and codes & _BLOB_UNKNOWN:
        return MissingBlobError(f"{where}. Run this again; should it persist, see the registry's log.")
    if status == 404:
        return _of_side(
            access, f"{where}: no such repository, tag or digest. Correct the image in the catalog."
        )
    return _of_side(access, f"{where}. See its log.")


def too_large(what: str) -> SourceError:
    """A manifest beyond what registries take."""
    return SourceError(
        f"{what}: larger than {LARGEST_MANIFEST_BYTES} bytes, the most that registries take. "
        "Build the image with fewer layers, platforms or annotations."
    )


def _of_side(access: RegistryAccess, message: str) -> ArtifactError:
    return SourceError(message) if access.side == "source" else TargetError(message)


def _errors(body: bytes) -> tuple[frozenset[str], str]:
    """Codes and text of an error document.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """
    try:
        listed = [each for each in json.loads(body)["errors"] if isinstance(each, dict)]
    except (ValueError, KeyError, TypeError):
        return frozenset(), " ".join(body[:_MOST_TEXT].decode(errors="replace").split())
    texts = []
    for each in listed:
        detail = each.get("detail")
        parts = [str(each.get("message") or each.get("code") or ""), json.dumps(detail) if detail else ""]
        texts.append(" ".join(filter(None, parts)))
    return frozenset(str(each.get("code", "")) for each in listed), "; ".join(texts)[:_MOST_TEXT]
