"""`hf://` sources: the Hugging Face Hub, or any server of its protocol.

Belongs here: which commit a revision means, and by which way its files are read.
Does not: the calls to the hub (hub_api.py), moving bytes (slipway.artifacts.transfer).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from slipway.artifacts.errors import SourceError
from slipway.artifacts.source import Count, SourceFile, StoredAt
from slipway.artifacts.sources.hub_api import SCHEME, HubRepo, HubToken, Place
from slipway.artifacts.sources.xet import XetReader
from slipway.artifacts.transfer.pace import Pace
from slipway.artifacts.transfer.ranged import Door, Links, RangedReader
from slipway.artifacts.transfer.retry import RetryPolicy, TransientError, attempt
from slipway.catalog.fields import SecretRef
from slipway.catalog.sources import COMMIT
from slipway.environment import Environment

# A small file follows the hub's redirect there and then: asking first where it lies costs as much.
_AT_ONCE_BYTES = 2**19
# huggingface_hub's own switch, and the values that it takes for yes.
_NO_XET_VARIABLE = "HF_HUB_DISABLE_XET"
_TRUE = {"1", "ON", "YES", "TRUE"}


class HubSource:
    """The hub at one endpoint. `endpoint` None means huggingface_hub's own default (`HF_ENDPOINT`)."""

    def __init__(
        self,
        endpoint: str | None,
        variables: Mapping[str, str],
        *,
        retry: RetryPolicy | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace
        bare = (endpoint or "").rstrip("/")
        self._endpoint = (bare if "://" in bare else endpoint) or None  # `http://` is said as it was given
        self._retry = retry or RetryPolicy()
        self._xet = variables.get(_NO_XET_VARIABLE, "").upper() not in _TRUE
        self._variables = variables

    @classmethod
    def from_environment(cls, environment: Environment, retry: RetryPolicy | None = None) -> HubSource:
        """The hub that `SLIPWAY_HUB_URL` names, with tokens from the same environment."""
        return cls(environment.hub_url, environment.variables, retry=retry)

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> HubSnapshot:
        """Ask the hub which commit the revision means. See `source.Source`."""
        if not location.startswith(SCHEME):
            raise SourceError(f"{location}: not a source that can be pulled. Write hf://org/name@commit.")
        hub_token = HubToken.find(token, self._variables, location)
        repo = HubRepo(self._endpoint, location, hub_token, xet=self._xet)
        name = f"{location}@{revision or 'main'}"
        info = attempt(self._retry, lambda: repo.info(revision), time.sleep)
        if not (isinstance(info.sha, str) and COMMIT.match(info.sha)):
            raise SourceError(
                f"{name}: {repo.hub} answered commit {info.sha!r}, which is no git commit id. Check "
                "SLIPWAY_HUB_URL."
            )
        if revision and revision != info.sha and info.sha.startswith(revision) and not repo.has_ref(revision):
            raise SourceError(f"{name}: a shortened commit. Write {location}@{info.sha}.")
        return HubSnapshot(
            repo, str(info.sha), _licence(info), self._retry, self._pace or Pace.of(self._variables)
        )


class HubSnapshot:
    """One commit of one repository at the hub; implements `source.Snapshot`."""

    def __init__(
        self,
        repo: HubRepo,
        commit: str,
        licence: str | None,
        retry: RetryPolicy,
        pace: Pace | None = None,
    ) -> None:
        self._repo = repo
        self._retry = retry
        self.commit = commit
        self.licence = licence
        self._reader = RangedReader(repo.name, pace=pace)
        self._xet = XetReader(repo.name, lambda: repo.xet_access(commit))
        self._places: Links[Place] = Links()

    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the commit, with the digest that the hub keeps: `lfs.oid`, or the git blob id."""
        return attempt(self._retry, lambda: self._repo.tree(self.commit), time.sleep)

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

    def _place(self, file: SourceFile) -> Place:
        url = self._repo.file_url(self.commit, file.path)
        if file.digest is None or file.digest.algorithm != "sha256" or file.size_bytes <= _AT_ONCE_BYTES:
            return Place(url, at_hub=True)
        return self._places.of(file.path, lambda: self._repo.content_place(url, file))

    def _door(self, place: Place) -> Door:
        """How to read there. The token goes to the hub alone, never to where it redirects."""
        token = self._repo.token
        if place.at_hub:
            return Door(place.url, token.headers, False, token.remedy)
        return Door(place.url, {}, True, token.remedy)


def _licence(info: Any) -> str | None:
    stated = info.card_data.get("license") if info.card_data else None
    return stated if isinstance(stated, str) else None
