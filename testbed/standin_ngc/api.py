"""The stand-in NGC's API: tokens for keys, models, versions, listings and links.

Belongs here: the paths and answers that NVIDIA's client (ngcsdk 4.37) and Slipway rely on, and what these ask
of the stand-in.
Does not: content, which lies behind signed links at another port (slipway.stack.standin_hub.cdn).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Protocol
from urllib.parse import parse_qs

from slipway.stack.standin_hub.bodies import Handler, Standin
from testbed.standin_ngc.models import NgcModel, NgcVersion

_KEYED = r"org/(?P<org>[^/]+)(?:/team/(?P<team>[^/]+))?"
_MODELS = (
    re.compile(rf"^/v2/{_KEYED}/models/(?P<name>[^/]+)(?P<rest>/versions/.+)?$"),
    re.compile(
        r"^/v2/(?P<guest>models)/(?P<org>(?!org/)[^/]+)(?:/(?P<team>[^/]+))??/(?P<name>[^/]+)"
        r"(?P<rest>/versions/.+)?$"
    ),
)
_LINKS = (
    re.compile(rf"^/v2/{_KEYED}/models/(?P<name>[^/]+)/(?P<version>[^/]+)/files$"),
    re.compile(rf"^/v2/(?P<guest>models)/{_KEYED}/(?P<name>[^/]+)/(?P<version>[^/]+)/files$"),
)
_VERSION = re.compile(r"^/versions/(?P<version>[^/]+)(?P<files>/files)?$")


class Ngc(Standin, Protocol):
    """What the endpoints ask of the stand-in (server.py)."""

    keys: set[str]
    tokens: set[str]
    token_life_s: float
    page_size: int

    def model(self, org: str, team: str | None, name: str) -> NgcModel | None:
        """The model of that owner and name."""

    def new_token(self) -> str:
        """A token that counts from now on."""


class NgcHandler(Handler):
    """Answers `/token` and `/v2/...`."""

    standin: Ngc

    def get(self, path: str, query: str) -> None:
        """Route by path."""
        asked = parse_qs(query)
        if path == "/token":
            self._give_token()
        elif found := _first(_LINKS, path):
            self._links(found, asked.get("path", [""])[0])
        elif found := _first(_MODELS, path):
            self._model(found, int(asked.get("page-number", ["0"])[0]))
        else:
            self.refuse(404, "Not found")

    def _give_token(self) -> None:
        scheme, _, encoded = (self.headers.get("Authorization") or "").partition(" ")
        try:
            user, _, key = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = key = ""
        if scheme != "Basic" or user != "$oauthtoken" or key not in self.standin.keys:
            self.refuse(401, "Unauthorized")
            return
        self.reply_json({"token": self.standin.new_token(), "expires_in": self.standin.token_life_s})

    def _model(self, asked: dict[str, str | None], page: int) -> None:
        if self.struck_down(self.standin.faults.take("api", str(asked["name"]))):
            return
        model = self._admitted(asked)
        if model is None:
            return
        rest = _VERSION.match(asked["rest"] or "")
        if rest is None:
            self.reply_json({"model": model.described})
            return
        version = model.versions.get(rest["version"])
        if version is None:
            self.refuse(404, "Not found")
        elif rest["files"]:
            self._listing(version, page)
        else:
            described = {"versionId": rest["version"], "status": version.status}
            self.reply_json({"model": model.described, "modelVersion": described})

    def _listing(self, version: NgcVersion, page: int) -> None:
        entries, size = version.listed(), self.standin.page_size
        pages = max(1, -(-len(entries) // size))
        self.reply_json(
            {
                "modelFiles": entries[page * size : (page + 1) * size],
                "paginationInfo": {"index": page, "size": size, "totalPages": pages},
            }
        )

    def _links(self, asked: dict[str, str | None], path: str) -> None:
        if self.struck_down(self.standin.faults.take("resolve", path)):
            return
        model = self._admitted(asked)
        if model is None:
            return
        version = model.versions.get(str(asked["version"]))
        file = version.files.get(path) if version else None
        if file is None:
            self.refuse(404, "Not found")
            return
        owner = "/".join(part for part in (model.org, model.team, model.name) if part)
        self.reply_json({"urls": [self.standin.cdn_location(owner, path, file)], "filepath": [path]})

    def _admitted(self, asked: dict[str, str | None]) -> NgcModel | None:
        """The model asked for, or None after refusing: 401 for a token that does not count, else 404."""
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        guest = asked.get("guest") is not None
        if not guest and (scheme != "Bearer" or token not in self.standin.tokens):
            self.refuse(401, "Unauthorized")
            return None
        model = self.standin.model(str(asked["org"]), asked["team"], str(asked["name"]))
        if model is None or (guest and not model.public):
            self.refuse(404, "Not found")
            return None
        return model


def _first(patterns: tuple[re.Pattern[str], ...], path: str) -> dict[str, str | None] | None:
    return next((found.groupdict() for pattern in patterns if (found := pattern.match(path))), None)
