"""`hf://` sources: the Hugging Face Hub, or any server of its protocol.

Belongs here: resolving and listing through huggingface_hub, and its errors in our words.
Does not: moving bytes (ranged.py reads, transfer.py writes).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.artifacts.errors import AccessError, ArtifactError, CorruptFileError, SourceError
from slipway.artifacts.source import Count, Digest, SourceFile, StoredAt
from slipway.artifacts.sources.hub_token import HubToken
from slipway.artifacts.sources.xet import XetAccess, XetReader
from slipway.artifacts.transfer.ranged import Door, Links, RangedReader
from slipway.artifacts.transfer.retry import RetryPolicy, TransientError, attempt, retry_after_s
from slipway.catalog.fields import SecretRef
from slipway.catalog.sources import COMMIT, LISTING
from slipway.environment import Environment

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

SCHEME = "hf://"
_METADATA_TIMEOUT_S = 20.0
# A small file follows the hub's redirect there and then: asking first where it lies costs as much.
_AT_ONCE_BYTES = 2**19
# huggingface_hub's own switch, and the values that it takes for yes.
_NO_XET_VARIABLE = "HF_HUB_DISABLE_XET"
_TRUE = {"1", "ON", "YES", "TRUE"}


class HubSource:
    """The hub at one endpoint. `endpoint` None means huggingface_hub's own default (`HF_ENDPOINT`)."""

    def __init__(
        self, endpoint: str | None, variables: Mapping[str, str], *, retry: RetryPolicy | None = None
    ) -> None:
        self.endpoint = endpoint.rstrip("/") if endpoint else None
        self.retry = retry or RetryPolicy()
        self.xet = variables.get(_NO_XET_VARIABLE, "").upper() not in _TRUE
        self._variables = variables

    @classmethod
    def from_environment(cls, environment: Environment, *, retry: RetryPolicy | None = None) -> HubSource:
        """The hub that `SLIPWAY_HUB_URL` names, with tokens from the same environment."""
        return cls(environment.hub_url, environment.variables, retry=retry)

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> HubSnapshot:
        """Ask the hub which commit the revision means. See `source.Source`."""
        if not location.startswith(SCHEME):
            raise SourceError(f"{location}: not a source that can be pulled. Write hf://org/name@commit.")
        repo = HubRepo(self, location, HubToken.find(token, self._variables, location))
        name = f"{location}@{revision or 'main'}"
        found = attempt(self.retry, lambda: repo.info(revision), time.sleep)
        if not COMMIT.match(found.sha or ""):
            raise SourceError(f"{name}: the hub answered commit {found.sha!r}, which is no git commit id.")
        if revision and revision != found.sha and found.sha.startswith(revision):
            raise SourceError(f"{name}: a shortened commit. Write {location}@{found.sha}.")
        return HubSnapshot(repo, str(found.sha), _licence(found))


class HubSnapshot:
    """One commit of one repository at the hub; implements `source.Snapshot`."""

    def __init__(self, repo: HubRepo, commit: str, licence: str | None) -> None:
        self._repo = repo
        self.commit = commit
        self.licence = licence
        self._reader = RangedReader(repo.name)
        self._xet = XetReader(repo.name, lambda: repo.xet_access(commit))
        self._places: Links[_Place] = Links()

    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the commit, with the digest that the hub keeps: `lfs.oid`, or the git blob id."""
        return attempt(self._repo.source.retry, lambda: self._repo.tree(self.commit), time.sleep)

    def read_into(self, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer through Xet where the hub offers it, else from wherever the hub redirects to."""
        try:
            place = self._place(file)
            if place.xet_hash and self._xet.usable(file.path):
                self._xet.read_into(place.xet_hash, file, offset, buffer, count)
            else:
                self._reader.read_into(self._door(place), file, offset, buffer, count)
        except TransientError:
            # A signed link may have expired; the next attempt asks the hub for another.
            self._places.forget(file.path)
            raise

    def stored_at(self, file: SourceFile) -> StoredAt | None:
        """None: a hub is no S3 store."""
        return None

    def _place(self, file: SourceFile) -> _Place:
        url = self._repo.file_url(self.commit, file.path)
        if file.digest is None or file.digest.algorithm != "sha256" or file.size_bytes <= _AT_ONCE_BYTES:
            return _Place(url, at_hub=True)
        return self._places.of(file.path, lambda: self._repo.content_place(url, file))

    def _door(self, place: _Place) -> Door:
        """How to read there. The token goes to the hub alone, never to where it redirects."""
        token = self._repo.token
        if place.at_hub:
            return Door(place.url, token.headers, False, token.remedy)
        return Door(place.url, {}, True, token.remedy)


@dataclass(frozen=True)
class _Place:
    """Where a file's content lies: at the hub itself or behind a signed link, and its name in Xet, if any."""

    url: str
    at_hub: bool
    xet_hash: str | None = None


class HubRepo:
    """One repository: the calls to huggingface_hub, with their errors explained."""

    def __init__(self, source: HubSource, location: str, token: HubToken) -> None:
        self.source = source
        self.name = location
        self.id = location.removeprefix(SCHEME)
        self.token = token

    def info(self, revision: str | None) -> Any:
        """`model_info` of a revision."""
        with self._explained(f"{self.name}@{revision or 'main'}"):
            return self._api().model_info(self.id, revision=revision, timeout=_METADATA_TIMEOUT_S)

    def tree(self, commit: str) -> tuple[SourceFile, ...]:
        """`list_repo_tree` of a commit."""
        from huggingface_hub.hf_api import RepoFile

        with self._explained(f"{self.name}@{commit}"):
            found = self._api().list_repo_tree(self.id, revision=commit, recursive=True)
            return tuple(_described(self.name, entry) for entry in found if isinstance(entry, RepoFile))

    def file_url(self, commit: str, path: str) -> str:
        """URL of a file at the hub's own door."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.id, path, revision=commit, endpoint=self.source.endpoint)

    def content_place(self, url: str, file: SourceFile) -> _Place:
        """Where an LFS file's content lies; checks that hub and listing still agree about it."""
        from huggingface_hub import get_hf_file_metadata

        with self._explained(f"{self.name} file {file.path}"):
            found = get_hf_file_metadata(
                url,
                token=self.token.value or False,
                timeout=_METADATA_TIMEOUT_S,
                endpoint=self.source.endpoint,
            )
        listed = file.digest.hex if file.digest else found.etag
        if (found.size, found.etag) != (file.size_bytes, listed):
            raise CorruptFileError(
                f"{self.name} file {file.path}: the hub listed {file.size_bytes} bytes with sha256 "
                f"{listed}, but offers {found.size} bytes with {found.etag}. Nothing was published. "
                "Ask the repository's owner, or pin another commit."
            )
        xet_hash = found.xet_file_data.file_hash if self.source.xet and found.xet_file_data else None
        return _Place(str(found.location), at_hub=found.location == url, xet_hash=xet_hash)

    def xet_access(self, commit: str) -> XetAccess:
        """Where the hub's Xet store is, and a token for it. The hub's own token goes to the hub alone."""
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import get_session, hf_raise_for_status
        from huggingface_hub.utils._xet import parse_xet_connection_info_from_headers

        what = f"{self.name}: a token for Xet"
        try:
            with self._explained(what):
                headers = build_hf_headers(token=self.token.value or False)
                url = self._xet_token_url(commit)
                reply = get_session().get(url, headers=headers, timeout=_METADATA_TIMEOUT_S)
                hf_raise_for_status(reply)
                found = parse_xet_connection_info_from_headers(reply.headers)
        except AccessError:
            raise
        except SourceError as error:
            # A mirror may pass the hub's headers on and know nothing of Xet: there are other ways to read.
            raise TransientError(str(error)) from error
        if found is None:
            raise TransientError(f"{what}: the hub's answer holds none.")
        return XetAccess(found.endpoint, found.access_token, found.expiration_unix_epoch)

    def _xet_token_url(self, commit: str) -> str:
        from huggingface_hub.utils._xet import XetTokenType, xet_connection_info_refresh_url

        return xet_connection_info_refresh_url(
            token_type=XetTokenType.READ,
            repo_id=self.id,
            repo_type="model",
            revision=commit,
            endpoint=self.source.endpoint,
        )

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        # False and not None: None would send whatever token this machine has stored.
        return HfApi(endpoint=self.source.endpoint, token=self.token.value or False)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

        try:
            yield
        except HfHubHTTPError as error:
            raise self._in_our_words(what, error) from error
        except HFValidationError as error:
            raise SourceError(f"{what}: {error}") from error
        except OfflineModeIsEnabled as error:
            raise SourceError(f"{what}: HF_HUB_OFFLINE is set. Unset it to reach a hub.") from error
        except (httpx2.HTTPError, OSError) as error:
            raise TransientError(
                f"{what}: the hub did not answer: {error or type(error).__name__}."
            ) from error

    def _in_our_words(self, what: str, error: HfHubHTTPError) -> ArtifactError | TransientError:
        from huggingface_hub.errors import (
            GatedRepoError,
            RemoteEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        status = error.response.status_code
        if isinstance(error, GatedRepoError):
            return AccessError(f"{what}: the repository is gated. {self.token.remedy}")
        if isinstance(error, RepositoryNotFoundError):
            return SourceError(
                f"{what}: no such repository, or a private one. Correct the name. {self.token.remedy}"
            )
        if isinstance(error, RevisionNotFoundError):
            return SourceError(f"{what}: no such revision. Pin a commit that exists.")
        if isinstance(error, RemoteEntryNotFoundError):
            return SourceError(f"{what}: was listed, but is gone. Pin another commit.")
        if status in {401, 403}:
            return AccessError(f"{what}: the hub answered {status}. {self.token.remedy}")
        if status == 429 or status >= 500:
            wait = retry_after_s(error.response.headers.get("Retry-After"), datetime.now(UTC))
            return TransientError(f"{what}: the hub answered {status}.", wait)
        return SourceError(f"{what}: the hub answered {status}: {error}")


def _described(name: str, entry: Any) -> SourceFile:
    """A listed file. Raises SourceError for a digest of a kind that we cannot compute."""
    if entry.lfs is not None:
        listed = Digest("sha256", entry.lfs.sha256)
        size_bytes, known = entry.lfs.size, LISTING.match(listed.hex)
    else:
        listed = Digest("git-blob-sha1", entry.blob_id)
        size_bytes, known = entry.size, COMMIT.match(listed.hex)
    if not known:
        raise SourceError(
            f"{name} file {entry.path}: its digest {listed.hex!r} is of an unknown algorithm. Slipway "
            "verifies sha256 (LFS) and sha1 (git): ask the repository's owner, or pin another commit."
        )
    return SourceFile(entry.path, size_bytes, listed)


def _licence(info: Any) -> str | None:
    stated = info.card_data.get("license") if info.card_data else None
    return stated if isinstance(stated, str) else None
