"""NGC's REST API: keys, the short-lived tokens that they give, and one GET with its errors explained.

Belongs here: what the API's answers mean. Does not: models and versions (ngc.py).
The protocol is that of NVIDIA's own client, ngcsdk 4.37.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from slipway.artifacts.errors import AccessError, SourceError
from slipway.artifacts.transfer.connections import Connections, cause, origin
from slipway.artifacts.transfer.retry import TransientError, may_pass
from slipway.artifacts.transfer.secrets import named_secret
from slipway.catalog.fields import SecretRef

DEFAULT_API_URL = "https://api.ngc.nvidia.com"
DEFAULT_AUTH_URL = "https://authn.nvidia.com"
DEFAULT_KEY_VARIABLE = "NGC_API_KEY"
# A token that is about to expire is not worth starting a request with.
_MARGIN_S = 30.0
_SHORTEST_LIFE_S = 60.0


@dataclass(frozen=True)
class NgcKey:
    """An API key and the variable that it came from; only the variable is ever shown. None: a guest."""

    variable: str
    value: str | None = field(repr=False)

    @classmethod
    def find(cls, ref: SecretRef | None, variables: Mapping[str, str], location: str) -> NgcKey:
        """The key that the catalog names, else `NGC_API_KEY`, else none."""
        return cls(*named_secret(ref, DEFAULT_KEY_VARIABLE, variables, location))

    @property
    def remedy(self) -> str:
        """What to do when NGC refuses."""
        if self.value:
            return f"The key in {self.variable} was not accepted: use one whose org has access."
        return f"No key was sent: set `token.env` in the catalog, or {self.variable}, to one that has access."


class NgcApi:
    """One NGC, as one key sees it. Safe to share between threads."""

    def __init__(self, name: str, key: NgcKey, scopes: tuple[str, ...], api_url: str, auth_url: str) -> None:
        self.name = name
        self.key = key
        self.connections = Connections()
        self._scopes = scopes
        self._api_url = api_url
        self._auth_url = auth_url
        self._lock = threading.Lock()
        self._token: str | None = None
        self._token_ends_s = 0.0

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at a path of the API.

        Raises TransientError when trying again may help, else AccessError or SourceError.
        """
        url = f"{self._api_url}/{quote(path)}"
        token, fresh = self._bearer()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        status, reply, body = self._request(f"{url}?{urlencode(query)}" if query else url, headers)
        if status == 401 and token and not fresh:
            self._drop(token)
            raise TransientError(f"{self.name}: NGC no longer takes its token.")
        self._judge(status, reply)
        return self._parsed(body)

    @contextlib.contextmanager
    def understood(self) -> Iterator[None]:
        """Turns what is wrong with an answer's shape into our words."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise SourceError(
                f"{self.name}: {origin(self._api_url)} answered with something that NGC does not say "
                f"({type(error).__name__}: {error}). A proxy may have answered in its place: check "
                "SLIPWAY_NGC_URL."
            ) from error

    def _bearer(self) -> tuple[str | None, bool]:
        """(token or None for a guest, whether it was asked for just now)."""
        if self.key.value is None:
            return None, True
        with self._lock:
            if self._token is not None and time.monotonic() < self._token_ends_s - _MARGIN_S:
                return self._token, False
            self._token, life_s = self._ask_for_token(self.key.value)
            self._token_ends_s = time.monotonic() + max(life_s, _SHORTEST_LIFE_S)
            return self._token, True

    def _ask_for_token(self, key: str) -> tuple[str, float]:
        query = urlencode([("service", "ngc"), *(("scope", scope) for scope in self._scopes)])
        basic = base64.b64encode(f"$oauthtoken:{key}".encode()).decode()
        status, reply, body = self._request(
            f"{self._auth_url}/token?{query}", {"Authorization": f"Basic {basic}"}
        )
        self._judge(status, reply)
        answer = self._parsed(body)
        if not isinstance(answer.get("token"), str):
            raise SourceError(
                f"{self.name}: {origin(self._auth_url)} gave no token. Check SLIPWAY_NGC_AUTH_URL."
            )
        with self.understood():
            return answer["token"], float(answer.get("expires_in") or 0)

    def _drop(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = None

    def _request(self, url: str, headers: dict[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        import urllib3

        try:
            reply = self.connections.to(url).request(
                "GET", url, headers={**headers, "Accept": "application/json"}
            )
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{self.name}: {origin(url)} did not answer: {cause(error)}.") from error
        return reply.status, reply.headers, reply.data

    def _no_json(self, what: str) -> TransientError:
        said = f"{self.name}: the answer of {origin(self._api_url)} is no {what}."
        remedy = "A login page or a proxy may have answered in its place: check SLIPWAY_NGC_URL."
        return TransientError(said, passing=False, lasting=SourceError(f"{said} {remedy}"))

    def _judge(self, status: int, headers: Mapping[str, str]) -> None:
        if may_pass(status):
            raise TransientError.answered(f"{self.name}: NGC answered {status}.", headers)
        if status in {401, 403}:
            raise AccessError(f"{self.name}: NGC refused ({status}). {self.key.remedy}")
        if status == 404:
            raise SourceError(
                f"{self.name}: no such model or version, or a private one. Correct it. {self.key.remedy}"
            )
        if status == 412:
            raise AccessError(
                f"{self.name}: its terms are not accepted. Accept them at NGC, then run this again."
            )
        if status != 200:
            raise SourceError(f"{self.name}: NGC answered {status}. Correct the source.")

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._no_json("JSON") from error
        if not isinstance(answer, dict):
            raise self._no_json("JSON object")
        return answer
