"""What a registry answers: bodies in bounds, lists by pages, and what a refusal means.

Belongs here: reading an answer; from its status and error document to the exception with the remedy.
Does not: requests (transport.py, client.py), what a token server answers (auth.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from slipway.artifacts.errors import AccessError, ArtifactError, SourceError
from slipway.artifacts.images.access import RegistryAccess
from slipway.artifacts.images.errors import DigestRefusedError, MissingBlobError, TargetError
from slipway.artifacts.images.manifests import INDEXES
from slipway.artifacts.transfer.connections import cause, origin
from slipway.artifacts.transfer.retry import TransientError, may_pass

# The size that the specification tells registries to take; distribution takes as much and no more.
LARGEST_MANIFEST_BYTES = 4 * 2**20
# No code says that a registry is full: its system's words, which it passes on, are all there is to see it by.
_WORDS_OF_A_FULL_ONE = ("no space left", "file too large", "quota")
_BLOB_UNKNOWN = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})
_MOST_TEXT = 300
_PASSED_OVER_BYTES = 2**20


@dataclass(frozen=True)
class Reply:
    """A small answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_body(what: str, reply: Any) -> bytes:
    """The body, up to one byte more than a manifest may have; raises TransientError when it breaks off."""
    import urllib3

    try:
        return bytes(reply.read(LARGEST_MANIFEST_BYTES + 1, decode_content=False))
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(f"{what}: the answer broke off: {cause(error)}.") from error


def pass_to(what: str, host: str, reply: Any, offset: int) -> None:
    """Read up to the offset what a registry sends that ignored the range (200), or check what it says (206).

    Raises TransientError when it breaks off, or sends another range.
    """
    import urllib3

    if reply.status == 206:
        sent = reply.headers.get("Content-Range", "")
        if sent and not sent.startswith(f"bytes {offset}-"):
            raise TransientError(f"{what}: {host} was asked for byte {offset} on, and sends {sent}.")
        return
    left = offset
    while left:
        try:
            piece = reply.read(min(_PASSED_OVER_BYTES, left), decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {host}: {cause(error)}.") from error
        if not piece:
            raise TransientError(f"{what}: {host} broke off after {offset - left} bytes.")
        left -= len(piece)


def referrers_in(reply: Reply | None) -> list[dict[str, Any]] | None:
    """The descriptors of a list of referrers; None when the answer is something else."""
    if reply is None or reply.headers.get("Content-Type", "").partition(";")[0].strip() != INDEXES[0]:
        return None
    try:
        listed = json.loads(reply.body).get("manifests") or []
        return [descriptor for descriptor in listed if isinstance(descriptor, dict)]
    except (ValueError, AttributeError):
        return None


def next_page(url: str, reply: Reply) -> str | None:
    """The next page of a list that a Link header (RFC 5988) names, at the same registry."""
    link = reply.headers.get("Link", "")
    if 'rel="next"' not in link or "<" not in link:
        return None
    following = urljoin(url, link[link.index("<") + 1 : link.index(">")])
    return following if origin(following) == origin(url) else None


def trouble(
    access: RegistryAccess, what: str, status: int, headers: Mapping[str, str], body: bytes
) -> ArtifactError | TransientError:
    """The exception for an answer that is not a success; `what` was asked for."""
    codes, text = _errors(body)
    where = f"{what}: {access.host} answered {status}{f' ({text})' if text else ''}"
    if status in {413, 507} or any(words in text.lower() for words in _WORDS_OF_A_FULL_ONE):
        return TargetError(f"{where}: it has no room. Free space there, then run this again.")
    if may_pass(status):
        # distribution on a full disk answers so, and says no more.
        full = " Its storage may be full: see its log." if access.side == "target" and status == 500 else ""
        return TransientError.answered(f"{where}.{full}", headers)
    if status in {401, 403}:
        return AccessError(f"{where}. {access.refused}")
    if status == 405 or "UNSUPPORTED" in codes:
        return TargetError(
            f"{where}: it does not allow this. If it is read-only, make it writable; to remove images, "
            "allow deletion (distribution: storage.delete.enabled). Then run this again."
        )
    # First: a manifest whose blob is being committed by another run may be refused with both codes.
    if access.side == "target" and codes & _BLOB_UNKNOWN:
        return MissingBlobError(f"{where}. Run this again; should it persist, see the registry's log.")
    if access.side == "target" and "DIGEST_INVALID" in codes:
        return DigestRefusedError(f"{where}: what came is not what was sent. See its log and the network.")
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


def text_of(body: bytes) -> str:
    """The beginning of a body that is text, on one line; what is none is never shown to a terminal."""
    shown = " ".join(body[:_MOST_TEXT].decode(errors="replace").rstrip("\ufffd").split())
    return shown if shown.isprintable() and "\ufffd" not in shown else "what is no text"


def _errors(body: bytes) -> tuple[frozenset[str], str]:
    """Codes and text of an error document.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """
    try:
        errors = [error for error in json.loads(body)["errors"] if isinstance(error, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset(), text_of(body)
    texts = []
    for error in errors:
        detail = error.get("detail")
        parts = [str(error.get("message") or error.get("code") or ""), json.dumps(detail) if detail else ""]
        texts.append(" ".join(filter(None, parts)))
    return frozenset(str(error.get("code", "")) for error in errors), text_of("; ".join(texts).encode())
