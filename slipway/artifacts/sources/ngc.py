"""`ngc://` sources: model versions of NVIDIA's NGC catalog, through its REST API.

Belongs here: resolving, listing and links to files, with NGC's errors in our words.
Does not: keys and tokens (ngc_api.py), moving bytes (slipway.artifacts.transfer).
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.artifacts.errors import SourceError
from slipway.artifacts.source import Count, Digest, SourceFile, StoredAt, check_pin, commit_of
from slipway.artifacts.sources.ngc_api import DEFAULT_API_URL, DEFAULT_AUTH_URL, NgcApi, NgcKey
from slipway.artifacts.transfer.pace import Pace
from slipway.artifacts.transfer.ranged import Door, Links, RangedReader
from slipway.artifacts.transfer.retry import RetryPolicy, TransientError, attempt
from slipway.catalog.fields import SecretRef
from slipway.environment import Environment

SCHEME = "ngc://"
_PAGE_SIZE = 1000
_DIGEST_FIELD = re.compile(r"^(?P<algorithm>[a-z0-9_-]+)_(base64|hex)$", re.IGNORECASE)
_STALE = "Its version was replaced: run this again, or pin another."


class NgcSource:
    """NGC at one pair of addresses: the API's, and that of the server which gives tokens for keys."""

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        api_url: str | None = None,
        auth_url: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._variables = variables
        self._api_url = (api_url or DEFAULT_API_URL).rstrip("/")
        self._auth_url = (auth_url or DEFAULT_AUTH_URL).rstrip("/")
        self._retry = retry or RetryPolicy()

    @classmethod
    def from_environment(cls, environment: Environment, retry: RetryPolicy | None = None) -> NgcSource:
        """NGC as `SLIPWAY_NGC_URL` and `SLIPWAY_NGC_AUTH_URL` say, with keys from the same environment."""
        return cls(
            environment.variables,
            api_url=environment.ngc_url,
            auth_url=environment.ngc_auth_url,
            retry=retry,
        )

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> NgcSnapshot:
        """List what the version holds now; without a version, the latest. See `source.Source`."""
        target = _Target.parse(location)
        key = NgcKey.find(token, self._variables, location)
        api = NgcApi(location, key, target.scopes, self._api_url, self._auth_url)
        version = _Version(api, target, self._retry)
        licence, listed = version.describe()
        commit = commit_of((path, entry.file.size_bytes, entry.named_by) for path, entry in listed.items())
        check_pin(location, revision, commit)
        files = tuple(entry.file for entry in listed.values())
        return NgcSnapshot(version, files, commit, licence, Pace.of(self._variables))


class NgcSnapshot:
    """What one version held when it was listed; implements `source.Snapshot`."""

    def __init__(
        self,
        version: _Version,
        files: tuple[SourceFile, ...],
        commit: str,
        licence: str | None,
        pace: Pace | None = None,
    ) -> None:
        self._version = version
        self._files = files
        self._reader = RangedReader(version.api.name, version.api.connections, pace=pace)
        self._links: Links[str] = Links()
        self.commit = commit
        self.licence = licence

    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the version, with its sha256 where NGC lists one."""
        return self._files

    def read_into(self, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer through the signed link that NGC gives for the file."""
        url = self._links.of(file.path, lambda: self._version.link(file.path))
        door = Door(url, {}, linked=True, remedy=self._version.api.key.remedy, stale=_STALE)
        try:
            self._reader.read_into(door, file, offset, buffer, count)
        except TransientError:
            # A signed link may have expired; the next attempt asks for another.
            self._links.forget(file.path)
            raise

    def stored_at(self, file: SourceFile) -> StoredAt | None:
        """None: NGC is no S3 store."""
        return None


@dataclass(frozen=True)
class _Target:
    """`ngc://org/[team/]model[@version]`."""

    org: str
    team: str | None
    model: str
    version: str | None

    @classmethod
    def parse(cls, location: str) -> _Target:
        path, _, version = location.removeprefix(SCHEME).partition("@")
        org, *team, model = path.split("/")
        return cls(org, team[0] if team else None, model, version or None)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a token is asked for: the org, and the team within it."""
        org = f"group/ngc:{self.org}"
        return (org, f"{org}/{self.team}") if self.team else (org,)

    def owner(self) -> str:
        """The path to who owns the model."""
        return f"org/{self.org}/team/{self.team}" if self.team else f"org/{self.org}"

    def model_path(self, *, guest: bool) -> str:
        """Path of the model. Guests see public models under a path of their own."""
        if guest:
            return "/".join(part for part in ("v2/models", self.org, self.team, self.model) if part)
        return f"v2/{self.owner()}/models/{self.model}"

    def links_path(self, version: str, *, guest: bool) -> str:
        """Path that gives links to a version's files."""
        if guest:
            return f"v2/models/{self.owner()}/{self.model}/{version}/files"
        return f"v2/{self.owner()}/models/{self.model}/{version}/files"


@dataclass(frozen=True)
class _Listed:
    """One file, and what names its content in the listing."""

    file: SourceFile
    named_by: str


class _Version:
    """The calls to NGC about one version of one model, each tried again where that may help."""

    def __init__(self, api: NgcApi, target: _Target, retry: RetryPolicy) -> None:
        self.api = api
        self._target = target
        self._retry = retry
        self._guest = api.key.value is None
        self._model = target.model_path(guest=self._guest)
        self._version = target.version or ""

    def describe(self) -> tuple[str | None, dict[str, _Listed]]:
        """The licence that NGC states, and the files by path."""
        if not self._version:
            reply = self._get(self._model)
            with self.api.understood():
                self._version = str(reply.get("model", {}).get("latestVersionIdStr") or "")
            if not self._version:
                raise SourceError(f"{self.api.name}: has no version yet. Correct the name.")
        reply = self._get(f"{self._model}/versions/{self._version}")
        with self.api.understood():
            status = reply.get("modelVersion", {}).get("status")
            terms = reply.get("model", {}).get("licenseTerms") or [{}]
            licence = terms[0].get("licenseId")
        if status != "UPLOAD_COMPLETE":
            raise SourceError(
                f"{self.api.name}: version {self._version} is {status}, not UPLOAD_COMPLETE. Wait until its "
                "owner has uploaded all of it, or name another version."
            )
        return licence, self._files()

    def link(self, path: str) -> str:
        """A signed link to a file. One attempt: whoever reads the file tries again."""
        place = self._target.links_path(self._version, guest=self._guest)
        reply = self.api.get(place, {"path": path})
        with self.api.understood():
            links = reply.get("urls") or []
            if links:
                return str(links[0])
        raise SourceError(f"{self.api.name} file {path}: was listed, but is gone. {_STALE}")

    def _files(self) -> dict[str, _Listed]:
        path, pages, page = f"{self._model}/versions/{self._version}/files", 1, 0
        listed: dict[str, _Listed] = {}
        while page < pages:
            reply = self._get(
                path, {"page-size": str(_PAGE_SIZE), **({"page-number": str(page)} if page else {})}
            )
            with self.api.understood():
                for entry in reply.get("modelFiles") or []:
                    listed[str(entry["path"])] = _listed(self.api.name, entry)
                pages = int((reply.get("paginationInfo") or {}).get("totalPages") or 1)
            page += 1
        if not listed:
            raise SourceError(
                f"{self.api.name}: version {self._version} holds no file. Name another version."
            )
        return listed

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return attempt(self._retry, lambda: self.api.get(path, query), time.sleep)


def _listed(name: str, entry: Mapping[str, Any]) -> _Listed:
    """One entry of NGC's listing. Raises SourceError for a digest of a kind that we cannot compute."""
    path, size_bytes = str(entry["path"]), int(entry["sizeInBytes"])
    sha256 = entry.get("sha256_base64")
    if not sha256:
        for field, value in entry.items():
            named = _DIGEST_FIELD.match(field)
            if named and value:
                raise SourceError(
                    f"{name} file {path}: its digest is of the unknown algorithm {named['algorithm']}. "
                    "Slipway verifies sha256: ask its owner for a version that lists one."
                )
        # Without a digest, what is left to tell one upload from another is its date.
        return _Listed(SourceFile(path, size_bytes, None), f"created {entry.get('createdDate')}")
    try:
        content = base64.b64decode(str(sha256), validate=True)
    except binascii.Error:
        content = b""
    if len(content) != 32:
        raise SourceError(f"{name} file {path}: NGC lists {sha256!r} as its sha256, which is none.")
    return _Listed(SourceFile(path, size_bytes, Digest("sha256", content.hex())), content.hex())
