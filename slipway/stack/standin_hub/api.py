"""The hub's own door: model info, file listings, and the resolve redirect.

Belongs here: the endpoints, headers and error codes that `huggingface_hub` and Slipway rely on, and what they
ask of the hub.
Does not: LFS content, which lies behind another host and port (cdn.py).
"""

from __future__ import annotations

import re
import time
from typing import Protocol
from urllib.parse import parse_qs, quote

from slipway.stack.standin_hub.bodies import Handler, Standin
from slipway.stack.standin_hub.repository import Commit, HubFile, Repository
from slipway.stack.standin_hub.xet import LocalXetStore

_INFO = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>.+))?$")
_TREE = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)$")
_XET_TOKEN = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)/xet-read-token/(?P<revision>[^/]+)$")
_REFS = re.compile(r"^/api/models/(?P<repo>[^/]+/[^/]+)/refs$")
_RESOLVE = re.compile(r"^/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
_PAGE_ENTRIES = 1000


class Hub(Standin, Protocol):
    """What the endpoints ask of the hub (server.py)."""

    xet: LocalXetStore | None
    serves_content: bool

    def repository(self, repo: str) -> Repository | None:
        """The repository of that id."""


class ApiHandler(Handler):
    """Answers `/api/models/...` and `/<repo>/resolve/...`."""

    standin: Hub

    def get(self, path: str, query: str) -> None:
        """Route by path; the health check is `/-/health`."""
        if path == "/-/health":
            self.reply_json({"status": "ok", "standin": True})
        elif match := _TREE.match(path):
            self._tree(match["repo"], match["revision"], query)
        elif match := _XET_TOKEN.match(path):
            self._xet_token(match["repo"], match["revision"])
        elif match := _REFS.match(path):
            self._refs(match["repo"])
        elif match := _INFO.match(path):
            self._info(match["repo"], match["revision"] or "main")
        elif match := _RESOLVE.match(path):
            self._resolve(match["repo"], match["revision"], match["path"])
        else:
            self.refuse(404, "Not found")

    def _info(self, repo: str, revision: str) -> None:
        if self.struck_down(self.standin.faults.take("api", repo)):
            return
        located = self._find(repo, revision)
        if located is not None:
            repository, commit = located
            self.reply_json(_info(repository, commit))

    def _tree(self, repo: str, revision: str, query: str) -> None:
        if self.struck_down(self.standin.faults.take("api", repo)):
            return
        located = self._find(repo, revision)
        if located is None:
            return
        first = int(parse_qs(query).get("cursor", ["0"])[0])
        entries = sorted(located[1].files.items())
        page = entries[first : first + _PAGE_ENTRIES]
        headers = {}
        if first + _PAGE_ENTRIES < len(entries):
            following = (
                f"{self.standin.url}{self.path.split('?')[0]}?recursive=true&cursor={first + _PAGE_ENTRIES}"
            )
            headers["Link"] = f'<{following}>; rel="next"'
        self.reply_json([_entry(path, file) for path, file in page], headers)

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        faults = self.standin.faults.take("resolve", path)
        if self.struck_down(faults):
            return
        located = self._find(repo, revision)
        if located is None:
            return
        repository, commit = located
        if not self._admitted(repository):
            return
        file = commit.files.get(path)
        if file is None:
            self.refuse(404, "Entry not found", "EntryNotFound")
            return
        if repo != repository.id:
            # Renamed: the Hub leads on by a path, and never names the host.
            self.reply(307, b"", {"Location": quote(f"/{repository.id}/resolve/{revision}/{path}")})
            return
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"'}
        self.standin.count_request(self.command, path)
        if not file.lfs or self.standin.serves_content:
            if "foreign-etag" in faults:
                headers = _with_etag_of(faults["foreign-etag"].body)
            self.send_file(file, headers, faults)
            return
        size_bytes = file.size_bytes + (1 if "wrong-length" in faults else 0)
        linked = {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(size_bytes)}
        if self.standin.xet is not None:
            linked["X-Xet-Hash"] = self.standin.xet.hash_of(file)
            route = f"{self.standin.url}/api/models/{repo}/xet-read-token/{commit.id}"
            linked["Link"] = f'<{route}>; rel="xet-auth"'
        if "foreign-etag" in faults:
            headers, linked = _with_etag_of(faults["foreign-etag"].body), {}
        self.reply(302, b"", {**headers, **linked, "Location": self.standin.cdn_location(repo, path, file)})

    def _refs(self, repo: str) -> None:
        located = self._find(repo, "main")
        if located is not None:
            tags = [
                {"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid}
                for name, oid in located[0].refs.items()
            ]
            self.reply_json({"branches": [], "converts": [], "tags": tags})

    def _xet_token(self, repo: str, revision: str) -> None:
        if self.struck_down(self.standin.faults.take("xet-token", repo)):
            return
        located = self._find(repo, revision)
        if located is None or not self._admitted(located[0]):
            return
        if self.standin.xet is None:
            self.refuse(404, "Not found")
            return
        self.standin.count_request(self.command, "xet-read-token")
        ends_at_s = int(time.time()) + self.standin.xet.token_life_s
        endpoint = self.standin.xet.endpoint
        headers = {
            "X-Xet-Cas-Url": endpoint,
            "X-Xet-Access-Token": f"xet-{ends_at_s}",
            "X-Xet-Token-Expiration": str(ends_at_s),
        }
        body = {"casUrl": endpoint, "accessToken": f"xet-{ends_at_s}", "exp": ends_at_s}
        self.reply_json(body, headers)

    def _find(self, repo: str, revision: str) -> tuple[Repository, Commit] | None:
        """The commit asked for, or None after refusing as the Hub does."""
        repository = self.standin.repository(repo)
        if repository is None:
            # The Hub does not tell a stranger which repositories exist: 401 without a token.
            status = 404 if self._token() else 401
            self.refuse(status, "Repository not found", "RepoNotFound")
            return None
        commit = repository.find(revision)
        if commit is None:
            self.refuse(404, f"Invalid rev id: {quote(revision)}", "RevisionNotFound")
            return None
        return repository, commit

    def _admitted(self, repository: Repository) -> bool:
        """True when the caller may read files; else the Hub's answer for gated repositories was sent."""
        if not repository.gated or self._token() in repository.tokens:
            return True
        if self._token() is None:
            self.refuse(401, f"Access to model {repository.id} is restricted.", "GatedRepo")
        elif self._token() in repository.strangers:
            self.refuse(403, f"Access to model {repository.id} is restricted to other accounts.", "GatedRepo")
        else:
            self.refuse(401, "Invalid credentials in Authorization header")
        return False

    def _token(self) -> str | None:
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        return token if scheme.lower() == "bearer" and token else None


def _with_etag_of(proxy: str) -> dict[str, str]:
    return {"ETag": proxy} if proxy else {}


def _info(repository: Repository, commit: Commit) -> dict[str, object]:
    return {
        "id": repository.id,
        "modelId": repository.id,
        "sha": commit.id,
        "private": False,
        "gated": "manual" if repository.gated else False,
        "tags": [f"license:{repository.licence}"] if repository.licence else [],
        "cardData": {"license": repository.licence} if repository.licence else {},
        "siblings": [{"rfilename": path} for path in sorted(commit.files)],
    }


def _entry(path: str, file: HubFile) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "oid": file.blob_id, "size": file.size_bytes, "path": path}
    if file.lfs:
        entry["lfs"] = {"oid": file.sha256, "size": file.size_bytes, "pointerSize": 134}
    return entry
