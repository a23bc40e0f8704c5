"""Registry authentication: what a 401 asks for, tokens by scope, and where credentials may go.

Belongs here: challenges, tokens, the Authorization header.
Does not: finding credentials (access.py).
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from slipway.artifacts.errors import AccessError
from slipway.artifacts.images.access import RegistryAccess
from slipway.artifacts.images.transport import Transport
from slipway.artifacts.transfer.connections import hand_back, origin
from slipway.artifacts.transfer.retry import TransientError, may_pass

Scope = tuple[str, ...]

# https://distribution.github.io/distribution/spec/auth/token/ : 60 s where expires_in is not given.
_DEFAULT_LIFE_S = 60.0
_SPARE_S = 5.0
_LARGEST_ANSWER_BYTES = 2**20
_PARAMETER = re.compile(r'([a-zA-Z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclass(frozen=True)
class Challenge:
    """One WWW-Authenticate: the scheme in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str]


def challenges(headers: Iterable[str]) -> list[Challenge]:
    """What the WWW-Authenticate headers of one answer ask for; one header may hold several."""
    asked_for: list[Challenge] = []
    for header in headers:
        for part in re.split(r",\s*(?=(?:Basic|Bearer)\b)", header, flags=re.IGNORECASE):
            scheme, _, rest = part.strip().partition(" ")
            pairs = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
            asked_for.append(Challenge(scheme.lower(), pairs))
    return asked_for


class Authenticator:
    """Answers one registry's challenges. Safe to share between threads."""

    def __init__(self, access: RegistryAccess, transport: Transport) -> None:
        self._access = access
        self._transport = transport
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[Scope, tuple[str, float]] = {}  # token, and when it ends

    def header(self, scope: Scope) -> str | None:
        """The Authorization that the registry is known to want for a scope; None before it asked."""
        with self._lock:
            if self._challenge is None:
                return None
            if self._challenge.scheme == "basic":
                return self._basic()
            token, ends = self._tokens.get(scope, ("", 0.0))
            if time.monotonic() >= ends:
                token = self._renew(self._challenge, scope)
            return f"Bearer {token}"

    def challenged(self, headers: Iterable[str], scope: Scope, sent: str | None) -> None:
        """Take in a 401 to a request that carried `sent`; afterwards `header` gives another answer.

        Raises AccessError when there is none to give.
        """
        asked = {challenge.scheme: challenge for challenge in challenges(headers)}
        challenge = asked.get("bearer") or asked.get("basic")
        if challenge is None:
            schemes = ", ".join(asked) or "nothing that it names"
            raise AccessError(f"{self._access.host} asks for {schemes}; only Bearer and Basic are known.")
        with self._lock:
            if challenge.scheme == "basic":
                if self._access.username is None:
                    raise AccessError(
                        f"{self._access.host} asks for credentials, and none are set. {self._access.refused}"
                    )
                if sent is not None:
                    raise self._refusal()
            elif sent is not None and sent == f"Bearer {self._tokens.get(scope, ('', 0.0))[0]}":
                del self._tokens[scope]  # it ended before its time: another thread may have a newer one
            self._challenge = challenge

    def _refusal(self) -> AccessError:
        whose = self._access.credentials_in or "us without credentials"
        return AccessError(f"{self._access.host} does not accept {whose}. {self._access.refused}")

    def _basic(self) -> str:
        pair = f"{self._access.username}:{self._access.password}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def _renew(self, challenge: Challenge, scope: Scope) -> str:
        """Fetch a token for the scope and remember it until shortly before it ends."""
        realm = challenge.parameters.get("realm", "")
        if urlsplit(realm).scheme not in {"http", "https"}:
            raise AccessError(f"{self._access.host} names no place to get a token. Ask its operator.")
        headers = {"Accept": "application/json"}
        if self._access.username is not None:
            self._check_realm(realm)
            headers["Authorization"] = self._basic()
        service = challenge.parameters.get("service")
        query = [("service", service)] if service else []
        query += [("scope", part) for part in scope]
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        reply = self._transport.send("GET", url, headers)
        body = reply.read(_LARGEST_ANSWER_BYTES)
        hand_back(reply)
        token, life_s = self._token(realm, reply.status, body)
        self._tokens[scope] = (token, time.monotonic() + max(0.0, life_s - _SPARE_S))
        return token

    def _check_realm(self, realm: str) -> None:
        """Credentials leave over https, or to the very host that is spoken to in plain http anyway."""
        mine = urlsplit(self._access.base_url)
        theirs = urlsplit(realm)
        if theirs.scheme == "https" or (self._access.plain_http and theirs.hostname == mine.hostname):
            return
        raise AccessError(
            f"{self._access.host} wants its credentials sent to {origin(realm)} in plain http. They were not "
            "sent. Ask its operator for https."
        )

    def _token(self, realm: str, status: int, body: bytes) -> tuple[str, float]:
        if status in {401, 403}:
            raise self._refusal()
        if may_pass(status):
            raise TransientError(f"{origin(realm)} answered {status} when asked for a token.")
        try:
            answer: dict[str, Any] = json.loads(body) if status == 200 else {}
            token = answer.get("token") or answer.get("access_token")
            life_s = float(answer.get("expires_in") or _DEFAULT_LIFE_S)
        except (ValueError, AttributeError):
            token, life_s = None, 0.0
        if not isinstance(token, str):
            raise AccessError(f"{origin(realm)} gave no token (it answered {status}). {self._access.refused}")
        return token, life_s
