"""The stand-in hub as a server: the hub's API over repositories.

Belongs here: which repositories there are, and the content-addressed store that some lie in.
Does not: the endpoints (api.py, cdn.py), ports and links (doors.py), the demo's content (demo.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from slipway.stack.standin_hub.api import ApiHandler
from slipway.stack.standin_hub.doors import HOST, TwoDoors
from slipway.stack.standin_hub.repository import Repository
from slipway.stack.standin_hub.xet import LocalXetStore

__all__ = ["HOST", "StandinHub"]


class StandinHub(TwoDoors):
    """A running stand-in hub, as a context manager; `url` is the value of `SLIPWAY_HUB_URL`.

    With `xet`, it offers its LFS files through that store as well. `serves_content`: LFS files come from its
    own door, as with many a mirror, and not from behind a link.
    """

    def __init__(
        self,
        repositories: Iterable[Repository] = (),
        *,
        port: int = 0,
        cdn_port: int = 0,
        verbose: bool = False,
        xet: LocalXetStore | None = None,
        serves_content: bool = False,
    ) -> None:
        self.xet = xet
        self.serves_content = serves_content
        self._renamed: dict[str, str] = {}
        self._repositories = {repository.id: repository for repository in repositories}
        super().__init__(ApiHandler, port=port, cdn_port=cdn_port, verbose=verbose)

    def add(self, repository: Repository) -> None:
        """Serve one more repository, or a new one in place of another of its id."""
        self._repositories[repository.id] = repository

    def repository(self, repo: str) -> Repository | None:
        """The repository of that id."""
        return self._repositories.get(self._renamed.get(repo, repo))

    def rename(self, old: str, new: str) -> None:
        """Answer for a repository that is now `new` under its old name, too."""
        self._renamed[old] = new
