"""A thin client of the registry protocol: manifests, blobs as streams, tags, referrers.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md

Belongs here: one call per endpoint, tried again where that helps.
Does not: what manifests say (manifests.py), in which order things are copied (mirror.py), why it is our own
(docs/adr/0018-a-registry-client-of-our-own.md).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urljoin

from slipway.artifacts.errors import ArtifactError, CorruptFileError, SourceError
from slipway.artifacts.images.access import RegistryAccess
from slipway.artifacts.images.auth import Authenticator, Scope
from slipway.artifacts.images.manifests import INDEXES, MANIFESTS
from slipway.artifacts.images.references import Repository, digest_of, is_digest, new_hash
from slipway.artifacts.images.registry_answers import (
    LARGEST_MANIFEST_BYTES,
    Reply,
    next_page,
    pass_to,
    read_body,
    referrers_in,
    too_large,
    trouble,
)
from slipway.artifacts.images.transport import Body, Transport
from slipway.artifacts.transfer.connections import hand_back, origin
from slipway.artifacts.transfer.retry import RetryPolicy, TransientError, attempt

T = TypeVar("T")

_ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
# A registry may read the whole blob again before it answers a commit.
_COMMIT_S = 900.0
_OFFERS_NO_REFERRERS = frozenset({400, 404, 405, 406, 501})


@dataclass(frozen=True)
class Fetched:
    """A manifest's bytes as the registry keeps them."""

    digest: str
    media_type: str
    body: bytes = field(repr=False)


class RegistryClient:
    """One registry. Safe to share between threads; connects on first use."""

    def __init__(self, access: RegistryAccess, policy: RetryPolicy | None = None) -> None:
        self.access = access
        self.policy = policy or RetryPolicy()
        self._transport = Transport(access)
        self._auth = Authenticator(access, self._transport)

    def resolve(self, repository: Repository, reference: str) -> str | None:
        """The digest of a tag or digest, by HEAD; None when there is no such thing."""
        url = self._url(repository, "manifests", reference)
        what = f"{repository}, {reference}"
        reply = self._call(what, "HEAD", url, _pull(repository), headers={"Accept": _ACCEPT}, absent={404})
        if reply is None:
            return None
        named = reply.headers.get("Docker-Content-Digest")
        if named is None:  # allowed by the specification
            fetched = self.manifest(repository, reference)
            return fetched.digest if fetched else None
        new_hash(named, what)
        return named

    def manifest(self, repository: Repository, reference: str) -> Fetched | None:
        """A manifest, verified: by the digest that was asked for, or the one that the registry names.

        Raises SourceError when it is too large, CorruptFileError when its bytes are others.
        """
        what = f"{repository}, manifest {reference}"
        url = self._url(repository, "manifests", reference)
        reply = self._call(what, "GET", url, _pull(repository), headers={"Accept": _ACCEPT}, absent={404})
        if reply is None:
            return None
        if len(reply.body) > LARGEST_MANIFEST_BYTES:
            raise too_large(what)
        named = reply.headers.get("Docker-Content-Digest") or "sha256:"
        expected = reference if is_digest(reference) else named
        actual = digest_of(reply.body, like=expected)
        if is_digest(reference) or expected != "sha256:":
            new_hash(expected, what)
            if actual != expected:
                raise CorruptFileError(
                    f"{what}: its bytes have the digest {actual}, not {expected}. Nothing was published. "
                    "Push the image to that registry again."
                )
        media_type = reply.headers.get("Content-Type", "").partition(";")[0].strip()
        return Fetched(actual, media_type, reply.body)

    def put_manifest(self, repository: Repository, reference: str, media_type: str, body: bytes) -> None:
        """Write a manifest under a tag or its digest."""
        url = self._url(repository, "manifests", reference)
        what = f"{repository}, write manifest {reference}"
        self._call(what, "PUT", url, _push(repository), headers={"Content-Type": media_type}, body=body)

    def delete_manifest(self, repository: Repository, digest: str) -> bool:
        """Remove a manifest and its tags; False when it was gone."""
        url = self._url(repository, "manifests", digest)
        scope = (f"repository:{repository.path}:pull,push,delete",)
        return self._call(f"{repository}, delete {digest}", "DELETE", url, scope, absent={404}) is not None

    def tags(self, repository: Repository) -> list[str]:
        """All tags; none when there is no such repository."""
        url: str | None = self._url(repository, "tags", "list") + "?n=1000"
        tags: list[str] = []
        while url is not None:
            reply = self._call(f"{repository}, tags", "GET", url, _pull(repository), absent={404})
            if reply is None:
                break
            tags += json.loads(reply.body).get("tags") or []
            url = next_page(url, reply)
        return tags

    def referrers(self, repository: Repository, digest: str) -> list[dict[str, Any]] | None:
        """Descriptors of what names this digest as its subject; None when the registry has no such list."""
        url: str | None = self._url(repository, "referrers", digest)
        descriptors: list[dict[str, Any]] = []
        while url is not None:
            what = f"{repository}, referrers of {digest}"
            headers = {"Accept": INDEXES[0]}
            reply = self._call(
                what, "GET", url, _pull(repository), headers=headers, absent=_OFFERS_NO_REFERRERS
            )
            listed = referrers_in(reply)
            if listed is None:
                return None
            descriptors += listed
            url = next_page(url, reply) if reply else None
        return descriptors

    def blob_size(self, repository: Repository, digest: str) -> int | None:
        """Size of a blob that is there; None when it is not."""
        url = self._url(repository, "blobs", digest)
        reply = self._call(f"{repository}, blob {digest}", "HEAD", url, _pull(repository), absent={404})
        return None if reply is None else int(reply.headers.get("Content-Length", -1))

    def blob(self, repository: Repository, digest: str, largest_bytes: int) -> bytes:
        """A small blob whole, verified; raises SourceError when it is larger, CorruptFileError when wrong."""
        what = f"{repository}, blob {digest}"
        url = self._url(repository, "blobs", digest)
        running = new_hash(digest, what)
        reply = self._call(what, "GET", url, _pull(repository))
        body = reply.body if reply else b""
        if len(body) > largest_bytes:
            raise SourceError(f"{what}: larger than {largest_bytes} bytes, which a configuration never is.")
        running.update(body)
        if running.hexdigest() != digest.partition(":")[2]:
            raise CorruptFileError(
                f"{what}: its bytes have another digest. Nothing was published. Push the image again."
            )
        return body

    @contextlib.contextmanager
    def open_blob(self, repository: Repository, digest: str, offset: int) -> Iterator[Any]:
        """A blob's bytes from an offset on, as urllib3's answer with the rest unread. One attempt.

        Raises TransientError, SourceError when it is missing, AccessError.
        """
        what = f"{repository}, blob {digest}"
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        url = self._url(repository, "blobs", digest)
        reply = self._authorized("GET", url, _pull(repository), headers, None)
        try:
            if reply.status == 404:
                raise SourceError(
                    f"{what}: missing at its source, so this image is broken there. Push it there again, or "
                    "name another tag or digest."
                )
            if reply.status not in {200, 206}:
                raise self._trouble(what, reply)
            pass_to(what, self.access.host, reply, offset)
            yield reply
        finally:
            hand_back(reply)

    def start_upload(self, repository: Repository, digest: str, mount_from: Repository | None) -> str | None:
        """Begin to write a blob: the URL to write to, or None when it was mounted from another repository."""
        url = self._url(repository, "blobs", "uploads") + "/"
        if mount_from is not None:
            url += "?" + urlencode({"mount": digest, "from": mount_from.path})
        what = f"{repository}, begin upload of blob {digest}"
        reply = self._call(what, "POST", url, _push(repository, mount_from), body=b"")
        if reply is None or reply.status == 201:
            return None
        return urljoin(url, reply.headers["Location"])

    def put_blob(
        self, repository: Repository, upload: str, digest: str, size_bytes: int, pieces: Iterable[memoryview]
    ) -> None:
        """Write and commit a blob in one request. One attempt: the pieces come only once.

        Raises TransientError, AccessError or TargetError; what the pieces raise passes through, and then the
        registry has seen too few bytes to commit anything.
        """
        what = f"{repository}, write blob {digest}"
        url = f"{upload}{'&' if '?' in upload else '?'}{urlencode({'digest': digest})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
        if size_bytes == 0:
            for _ in pieces:
                raise CorruptFileError(f"{what}: bytes came for a blob that should be empty.")
        body: Body = pieces if size_bytes else b""
        reply = self._authorized("PUT", url, _push(repository), headers, body, once=True, read_s=_COMMIT_S)
        try:
            if reply.status not in {201, 204}:
                raise self._trouble(what, reply)
        finally:
            hand_back(reply)

    def cancel_upload(self, repository: Repository, upload: str) -> None:
        """Let the registry forget an upload; whether it can does not matter, as it was never committed."""
        with contextlib.suppress(ArtifactError, TransientError):
            hand_back(self._authorized("DELETE", upload, _push(repository), {}, None))

    def attempt(self, action: Callable[[], T], pause: Callable[[float], None] = time.sleep) -> T:
        """Run an action until it succeeds, within this client's policy."""
        return attempt(self.policy, action, pause)

    def _call(
        self,
        what: str,
        method: str,
        url: str,
        scope: Scope,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        absent: Iterable[int] = (),
    ) -> Reply | None:
        """A small request, tried again; None for the statuses that mean that there is no such thing."""

        def once() -> Reply | None:
            reply = self._authorized(method, url, scope, headers or {}, body)
            try:
                if reply.status in absent:
                    return None
                if not 200 <= reply.status < 300:
                    raise self._trouble(what, reply)
                return Reply(reply.status, reply.headers, read_body(what, reply))
            finally:
                hand_back(reply)

        return self.attempt(once)

    def _authorized(
        self,
        method: str,
        url: str,
        scope: Scope,
        headers: Mapping[str, str],
        body: Body,
        *,
        once: bool = False,
        read_s: float = 60.0,
    ) -> Any:
        """A request with what the registry asks for; `once`: the body cannot be sent a second time."""
        own = origin(url) == origin(self.access.base_url)
        for final in (False, True):
            sent = self._auth.header(scope) if own else None
            full = {**headers, "Accept-Encoding": "identity", **({"Authorization": sent} if sent else {})}
            if body is None and method in {"GET", "HEAD"}:
                reply = self._transport.follow(method, url, full)
            else:
                reply = self._transport.send(method, url, full, body, read_s=read_s)
            if reply.status != 401 or not own or final:
                return reply
            asked = reply.headers.getlist("WWW-Authenticate")
            hand_back(reply)
            self._auth.challenged(asked, scope, sent)
            if once:
                raise TransientError(f"{self.access.host}: the token ended before a blob was written.")
        raise AssertionError("the second answer is returned")

    def _trouble(self, what: str, reply: Any) -> ArtifactError | TransientError:
        return trouble(self.access, what, reply.status, reply.headers, read_body(what, reply))

    def _url(self, repository: Repository, kind: str, name: str) -> str:
        return f"{self.access.base_url}/v2/{repository.path}/{kind}/{quote(name, safe=':')}"


def _pull(repository: Repository) -> Scope:
    return (f"repository:{repository.path}:pull",)


def _push(repository: Repository, mount_from: Repository | None = None) -> Scope:
    scope = (f"repository:{repository.path}:pull,push",)
    return scope if mount_from is None else (*scope, f"repository:{mount_from.path}:pull")
