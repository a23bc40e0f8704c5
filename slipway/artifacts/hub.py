"""`hf://` sources: the Hugging Face Hub, or any server of its protocol.

Belongs here: resolving and listing through huggingface_hub, and its errors in our words.
Does not: moving bytes (ranged.py reads, transfer.py writes).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.artifacts.errors import AccessError, ArtifactError, CorruptFileError, SourceError
from slipway.artifacts.ranged import Door, Links, RangedReader
from slipway.artifacts.retry import RetryPolicy, TransientError, attempt, retry_after_s
from slipway.artifacts.source import Count, Digest, SourceFile, StoredAt
from slipway.catalog.fields import SecretRef
from slipway.catalog.sources import COMMIT
from slipway.environment import Environment

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

SCHEME = "hf://"
DEFAULT_TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105  a variable's name, not a token
_METADATA_TIMEOUT_S = 20.0


class HubSource:
    """The hub at one endpoint. `endpoint` None means huggingface_hub's own default (`HF_ENDPOINT`)."""

    def __init__(
        self, endpoint: str | None, variables: Mapping[str, str], *, retry: RetryPolicy | None = None
    ) -> None:
        self.endpoint = endpoint.rstrip("/") if endpoint else None
        self.retry = retry or RetryPolicy()
        self._variables = variables

    @classmethod
    def from_environment(cls, environment: Environment, *, retry: RetryPolicy | None = None) -> HubSource:
        """The hub that `SLIPWAY_HUB_URL` names, with tokens from the same environment."""
        return cls(environment.hub_url, environment.variables, retry=retry)

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> HubSnapshot:
        """Ask the hub which commit the revision means. See `source.Source`."""
        if not location.startswith(SCHEME):
            raise SourceError(f"{location}: not a source that can be pulled. Write hf://org/name@commit.")
        repo = HubRepo(self, location, _Token.find(token, self._variables, location))
        name = f"{location}@{revision or 'main'}"
        found = attempt(self.retry, lambda: repo.info(revision), time.sleep)
        if not COMMIT.match(found.sha or ""):
            raise SourceError(f"{name}: the hub answered commit {found.sha!r}, which is no git commit id.")
        return HubSnapshot(repo, str(found.sha), _licence(found))


class HubSnapshot:
    """One commit of one repository at the hub; implements `source.Snapshot`."""

    def __init__(self, repo: HubRepo, commit: str, licence: str | None) -> None:
        self._repo = repo
        self.commit = commit
        self.licence = licence
        self._reader = RangedReader(repo.name)
        self._links = Links()

    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the commit, with the digest that the hub keeps: `lfs.oid`, or the git blob id."""
        return attempt(self._repo.source.retry, lambda: self._repo.tree(self.commit), time.sleep)

    def read_into(self, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer from the hub, or from the content host that it redirects to."""
        try:
            self._reader.read_into(self._door(file), file, offset, buffer, count)
        except TransientError:
            # A signed link may have expired; the next attempt asks the hub for another.
            self._links.forget(file.path)
            raise

    def stored_at(self, file: SourceFile) -> StoredAt | None:
        """None: a hub is no S3 store."""
        return None

    def _door(self, file: SourceFile) -> Door:
        """Where to read the file. The token goes to the hub alone, never to where it redirects."""
        token, url = self._repo.token, self._repo.file_url(self.commit, file.path)
        if file.digest is None or file.digest.algorithm != "sha256":
            return Door(url, token.headers, False, token.remedy)
        location = self._links.of(file.path, lambda: self._repo.content_location(url, file))
        if location == url:
            return Door(url, token.headers, False, token.remedy)
        return Door(location, {}, True, token.remedy)


class HubRepo:
    """One repository: the calls to huggingface_hub, with their errors explained."""

    def __init__(self, source: HubSource, location: str, token: _Token) -> None:
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
            return tuple(_described(entry) for entry in found if isinstance(entry, RepoFile))

    def file_url(self, commit: str, path: str) -> str:
        """URL of a file at the hub's own door."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.id, path, revision=commit, endpoint=self.source.endpoint)

    def content_location(self, url: str, file: SourceFile) -> str:
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
        return str(found.location)

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


class _Token:
    """A hub token and the variable that it came from; only the variable is ever shown."""

    def __init__(self, variable: str, value: str | None) -> None:
        self.variable = variable
        self.value = value

    @classmethod
    def find(cls, ref: SecretRef | None, variables: Mapping[str, str], location: str) -> _Token:
        """The token that the catalog names, else `HF_TOKEN`, else none."""
        named = ref.env if ref else None
        value = variables.get(named or DEFAULT_TOKEN_VARIABLE) or None
        if named and value is None:
            raise AccessError(
                f"{location}: its token is to come from {named}, which is not set. "
                f"Set {named}, or remove `token` from the catalog if the repository is open."
            )
        return cls(named or DEFAULT_TOKEN_VARIABLE, value)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.value}"} if self.value else {}

    @property
    def remedy(self) -> str:
        if self.value:
            return f"The token in {self.variable} was not accepted: use one whose account has access."
        return (
            f"No token was sent: set `token.env` in the catalog, or {self.variable}, to one that has access."
        )

    def __repr__(self) -> str:
        return f"_Token({self.variable})"


def _described(entry: Any) -> SourceFile:
    if entry.lfs is not None:
        return SourceFile(entry.path, entry.lfs.size, Digest("sha256", entry.lfs.sha256))
    return SourceFile(entry.path, entry.size, Digest("git-blob-sha1", entry.blob_id))


def _licence(info: Any) -> str | None:
    stated = info.card_data.get("license") if info.card_data else None
    return stated if isinstance(stated, str) else None
