"""Whether a registry checks what it is sent against the digest: tried, not believed.

Belongs here: the trial, once for each registry of a run. Does not: what follows from it (blobs.py).

The specification lets a registry take a blob only if its bytes have the digest that was named. Where that is
seen to be so, digesting them on the way, too, is half of what mirroring costs.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-monolithically
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from slipway.artifacts.errors import ArtifactError
from slipway.artifacts.images.errors import DigestRefusedError
from slipway.artifacts.images.references import Repository
from slipway.artifacts.transfer.retry import TransientError

if TYPE_CHECKING:
    from slipway.artifacts.images.client import RegistryClient

_SENT = b"Slipway tries whether this registry checks digests."
_NAMED = f"sha256:{hashlib.sha256(b'something else').hexdigest()}"


class DigestTrial:
    """One registry's. Safe to share between threads."""

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._checks: bool | None = None

    def checks(self, repository: Repository) -> bool:
        """Whether the registry refuses other bytes than the digest's; False, too, where that is not known."""
        with self._lock:
            if self._checks is None:
                self._checks = self._tried(repository)
            return self._checks

    def _tried(self, repository: Repository) -> bool:
        registry, upload = self._registry, None
        try:
            upload = registry.start_upload(repository, _NAMED, None)
            if upload is not None:
                registry.put_blob(repository, upload, _NAMED, len(_SENT), [memoryview(_SENT)])
        except DigestRefusedError:
            return True
        except (ArtifactError, TransientError):
            return False
        finally:
            if upload is not None:
                registry.cancel_upload(repository, upload)
        return False
