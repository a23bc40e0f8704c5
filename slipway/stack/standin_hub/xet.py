"""The stand-in hub's Xet store: hf_xet's own, in a directory of this machine (`local://`).

Belongs here: putting files into it. Does not: announcing it (api.py), reading it (artifacts/sources/xet.py).
"""

from __future__ import annotations

import threading
from pathlib import Path

from slipway.stack.standin_hub.repository import HubFile


class LocalXetStore:
    """A content-addressed store in a directory; `endpoint` is what the hub's token answer names."""

    def __init__(self, directory: Path, *, token_life_s: int = 3600) -> None:
        self.endpoint = f"local://{directory}"
        self.token_life_s = token_life_s
        self._lock = threading.Lock()
        self._hashes: dict[str, str] = {}

    def hash_of(self, file: HubFile) -> str:
        """The name of a file's content in Xet; uploads it first, once."""
        from hf_xet import XetSession  # type: ignore[import-untyped]

        with self._lock:
            if file.sha256 not in self._hashes:
                commit = XetSession().new_upload_commit(endpoint=self.endpoint)
                upload = commit.start_upload_file(str(file.location), sha256=file.sha256)
                commit.wait_to_finish()
                self._hashes[file.sha256] = upload.result().xet_info.hash
            return self._hashes[file.sha256]
