"""The Hub's API through huggingface_hub: the token for it, and its calls with their errors explained.

Belongs here: one repository's calls, and what the hub's answers mean.
Does not: which revision is meant and how its files are read (hub.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from slipway.artifacts.errors import AccessError, ArtifactError, CorruptFileError, SourceError
from slipway.artifacts.source import Digest, SourceFile
from slipway.artifacts.sources.xet import XetAccess
from slipway.artifacts.transfer.connections import origin
from slipway.artifacts.transfer.retry import TransientError, may_pass
from slipway.artifacts.transfer.secrets import named_secret
from slipway.catalog.fields import SecretRef
from slipway.catalog.sources import COMMIT, LISTING

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

SCHEME = "hf://"
_REAL_HUB = "https://huggingface.co"
DEFAULT_TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105  a variable's name, not a token
_METADATA_TIMEOUT_S = 20.0
_SHORTEST_COMMIT = 7
# How an answer fails that is JSON of another kind, or none.
_NOT_A_HUBS = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
# What a server that knows no HEAD answers to one.
_NO_HEAD = frozenset({400, 405, 501})


class HubToken:
    """A hub token and the variable that it came from; only the variable is ever shown."""

    def __init__(self, variable: str, value: str | None) -> None:
        self.variable = variable
        self.value = value

    @classmethod
    def find(cls, ref: SecretRef | None, variables: Mapping[str, str], location: str) -> HubToken:
        """The token that the catalog names, else `HF_TOKEN`, else none."""
        return cls(*named_secret(ref, DEFAULT_TOKEN_VARIABLE, variables, location))

    @property
    def headers(self) -> dict[str, str]:
        """What a request to the hub itself carries; nothing without a token."""
        return {"Authorization": f"Bearer {self.value}"} if self.value else {}

    @property
    def remedy(self) -> str:
        """What to do when the hub refuses."""
        if self.value:
            return f"The token in {self.variable} was not accepted: use one whose account has access."
        return (
            f"No token was sent: set `token.env` in the catalog, or {self.variable}, to one that has access."
        )

    def __repr__(self) -> str:
        return f"HubToken({self.variable})"


@dataclass(frozen=True)
class Place:
    """Where a file's content lies: at the hub itself or behind a signed link, and its name in Xet, if any."""

    url: str
    at_hub: bool
    xet_hash: str | None = None


class HubRepo:
    """One repository: the calls to huggingface_hub, with their errors explained."""

    def __init__(self, endpoint: str | None, location: str, token: HubToken, *, xet: bool) -> None:
        self.name = location
        self.token = token
        self._id = location.removeprefix(SCHEME)
        self._endpoint = endpoint
        self._xet = xet

    @property
    def hub(self) -> str:
        """Which hub is asked: scheme, host and port, for people."""
        from huggingface_hub import constants

        return origin(self._endpoint or constants.ENDPOINT)

    @property
    def other_hub(self) -> str:
        """How to ask another hub than this one, for people."""
        if self.hub == _REAL_HUB:
            return "Set SLIPWAY_HUB_URL to ask another hub."
        return f"Set SLIPWAY_HUB_URL={_REAL_HUB} (before `slipway up`) to ask the Hugging Face Hub."

    def info(self, revision: str | None) -> Any:
        """`model_info` of a revision."""
        with self._explained(f"{self.name}@{revision or 'main'}"):
            return self._api().model_info(self._id, revision=revision, timeout=_METADATA_TIMEOUT_S)

    def has_ref(self, name: str) -> bool:
        """Whether a branch or a tag is named so, and not only the beginning of a commit.

        The Hub takes seven digits and more for a commit; a mirror that lists no refs has none.
        """
        if len(name) < _SHORTEST_COMMIT:
            return True
        try:
            with self._explained(f"{self.name}@{name}"):
                refs = self._api().list_repo_refs(self._id)
        except SourceError:
            return False
        return any(ref.name == name for ref in (*refs.branches, *refs.tags))

    def tree(self, commit: str) -> tuple[SourceFile, ...]:
        """`list_repo_tree` of a commit."""
        from huggingface_hub.hf_api import RepoFile

        with self._explained(f"{self.name}@{commit}"):
            entries = self._api().list_repo_tree(self._id, revision=commit, recursive=True)
            files = tuple(_described(self.name, entry) for entry in entries if isinstance(entry, RepoFile))
        if not files:
            raise SourceError(
                f"{self.name}@{commit}: {self.hub} lists no file of it. Pin another commit, or check "
                "SLIPWAY_HUB_URL."
            )
        return files

    def file_url(self, commit: str, path: str) -> str:
        """URL of a file at the hub's own door."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self._id, path, revision=commit, endpoint=self._endpoint)

    def content_place(self, url: str, file: SourceFile) -> Place:
        """Where an LFS file's content lies; checks that hub and listing still agree about it."""
        from huggingface_hub import get_hf_file_metadata
        from huggingface_hub.errors import HfHubHTTPError

        try:
            with self._explained(f"{self.name} file {file.path}"):
                offered = get_hf_file_metadata(
                    url,
                    token=self.token.value or False,
                    timeout=_METADATA_TIMEOUT_S,
                    endpoint=self._endpoint,
                )
        except SourceError as error:
            cause = error.__cause__
            if isinstance(cause, HfHubHTTPError) and cause.response.status_code in _NO_HEAD:
                return Place(url, at_hub=True)
            raise
        # The entity tag is not compared: a proxy may send its own or none, and the bytes prove themselves.
        if offered.size not in {None, file.size_bytes}:
            raise CorruptFileError(
                f"{self.name} file {file.path}: {self.hub} listed {file.size_bytes} bytes, but offers "
                f"{offered.size}. Nothing was published. Ask the repository's owner, or pin another commit."
            )
        xet_hash = offered.xet_file_data.file_hash if self._xet and offered.xet_file_data else None
        location = urljoin(url, str(offered.location))
        return Place(location, at_hub=_is_at_hub(location, url), xet_hash=xet_hash)

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
                granted = parse_xet_connection_info_from_headers(reply.headers)
        except AccessError:
            raise
        except SourceError as error:
            # A mirror may pass the hub's headers on and know nothing of Xet: there are other ways to read.
            raise TransientError(str(error)) from error
        if granted is None:
            raise TransientError(f"{what}: the hub's answer holds none.")
        return XetAccess(granted.endpoint, granted.access_token, granted.expiration_unix_epoch)

    def _xet_token_url(self, commit: str) -> str:
        from huggingface_hub.utils._xet import XetTokenType, xet_connection_info_refresh_url

        return xet_connection_info_refresh_url(
            token_type=XetTokenType.READ,
            repo_id=self._id,
            repo_type="model",
            revision=commit,
            endpoint=self._endpoint,
        )

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        # False and not None: None would send whatever token this machine has stored.
        return HfApi(endpoint=self._endpoint, token=self.token.value or False)

    def _require_address(self, what: str) -> None:
        parts = urlsplit(self._endpoint or _REAL_HUB)
        if parts.scheme not in {"http", "https"} or not parts.hostname or " " in (self._endpoint or ""):
            raise SourceError(
                f"{what}: SLIPWAY_HUB_URL = {self._endpoint!r} is no address. Write one such as {_REAL_HUB}."
            )

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

        self._require_address(what)
        try:
            yield
        except HfHubHTTPError as error:
            raise self._in_our_words(what, error) from error
        except HFValidationError as error:
            raise SourceError(f"{what}: is no name of a repository. Write hf://org/name@commit.") from error
        except OfflineModeIsEnabled as error:
            raise SourceError(f"{what}: HF_HUB_OFFLINE is set. Unset it to reach a hub.") from error
        except (httpx2.HTTPError, OSError) as error:
            raise TransientError(f"{what}: {self.hub} did not answer: {_one_line(error)}.") from error
        except (httpx2.InvalidURL, *_NOT_A_HUBS) as error:
            raise SourceError(
                f"{what}: {self.hub} answered with something that no hub says ({_one_line(error)}). A login "
                "page or a proxy may have answered in its place: open it in a browser, and check "
                "SLIPWAY_HUB_URL."
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
                f"{what}: no such repository at {self.hub}, or a private one. Correct the name. "
                f"{self.token.remedy} {self.other_hub}"
            )
        if isinstance(error, RevisionNotFoundError):
            return SourceError(
                f"{what}: no such revision at {self.hub}. Pin a commit that exists. {self.other_hub}"
            )
        if isinstance(error, RemoteEntryNotFoundError):
            return SourceError(f"{what}: was listed, but is gone. Pin another commit.")
        if status in {401, 403}:
            return AccessError(f"{what}: {self.hub} answered {status}. {self.token.remedy}")
        if may_pass(status):
            return TransientError.answered(f"{what}: {self.hub} answered {status}.", error.response.headers)
        return SourceError(
            f"{what}: {self.hub} answered {status}. Check SLIPWAY_HUB_URL, and any proxy before it."
        )


def _one_line(error: Exception) -> str:
    """A library's words, for who looks them up, without the query of a URL: it may hold a signature."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}: {text.partition('?')[0]}"[:200].rstrip(".")


def _is_at_hub(location: str, url: str) -> bool:
    """Whether content lies behind the hub's own door, under another name of the repository perhaps.

    A link that is signed is its own credential, and what it leads to takes no second one.
    """
    return origin(location) == origin(url) and "signature" not in urlsplit(location).query.lower()


def _described(name: str, entry: Any) -> SourceFile:
    """A listed file. Raises SourceError for a digest that we cannot compute, ValueError for no file."""
    if entry.lfs is not None:
        listed = Digest("sha256", entry.lfs.sha256)
        size_bytes, known = entry.lfs.size, LISTING.match(listed.hex)
    else:
        listed = Digest("git-blob-sha1", entry.blob_id)
        size_bytes, known = entry.size, COMMIT.match(listed.hex)
    if not isinstance(entry.path, str) or not isinstance(size_bytes, int) or size_bytes < 0:
        raise ValueError(f"a file {entry.path!r} of {size_bytes!r} bytes")
    if not known:
        raise SourceError(
            f"{name} file {entry.path}: its digest {listed.hex!r} is of an unknown algorithm. Slipway "
            "verifies sha256 (LFS) and sha1 (git): ask the repository's owner, or pin another commit."
        )
    return SourceFile(entry.path, size_bytes, listed)
