"""One HTTP call to an API server through the official client's connections, patient with one that is away.

Belongs here: authentication, time limits, trying again. Does not: paths and verbs (client.py).
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slipway.dataplane.errors import DataPlaneUnreachableError
from slipway.dataplane.kubernetes.api.refusals import Call, is_passing, once_back, refused

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

# An API server that restarts, or fails over, is back within a minute or so.
PATIENCE_S = 90.0

_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_APPLY = "application/apply-patch+yaml"

Say = Callable[[str], None]


class Transport:
    """Calls to one API server. Threads may share it.

    `patience_s` is how long a call that cannot reach the server is tried again; `say` is told once when
    that begins and once when it ends.
    """

    def __init__(self, api: ApiClient, patience_s: float = PATIENCE_S, say: Say | None = None) -> None:
        self._api = api
        self.url = str(api.configuration.host).rstrip("/")
        self._patience_s = patience_s
        self._say = say or (lambda _: None)

    def call(
        self,
        call: Call,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        accept: str = "application/json",
        content_type: str | None = None,
    ) -> Any:
        """The decoded answer; text where it is not JSON. Calls that change something must be repeatable.

        Raises DataPlaneUnreachableError when the server stays away, and what refusals.py makes of a refusal.
        """
        end = time.monotonic() + self._patience_s
        pause_s, waits = _FIRST_PAUSE_S, False
        while True:
            code, answer, trouble = self._once(call, path, query, body, accept, content_type)
            if not trouble:
                if waits:
                    self._say(f"{self.url} answers again")
                break
            if time.monotonic() + pause_s >= end:
                raise DataPlaneUnreachableError(
                    f"{call.what}: the API server at {self.url} did not do it in {self._patience_s:g} s: "
                    f"{trouble}. {once_back(trouble)}"
                )
            if not waits and pause_s > 1:
                self._say(f"{self.url} does not answer ({trouble}): trying again for {self._patience_s:g} s")
                waits = True
            time.sleep(pause_s * random.uniform(0.75, 1.25))  # noqa: S311  jitter, not a secret
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        if not 200 <= code < 300:
            raise refused(call, code, answer)
        return answer

    def _once(
        self,
        call: Call,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        accept: str,
        content_type: str | None,
    ) -> tuple[int, Any, str]:
        """Status, decoded answer, and the trouble that is worth another try (empty: none)."""
        from urllib3.exceptions import HTTPError

        try:
            response = self._send(call.method, path, query, body, accept, content_type)
        except (HTTPError, OSError) as error:
            return 0, None, _brief(error)
        answer = _decoded(response.data, response.headers.get("Content-Type", ""))
        if is_passing(response.status, _said(answer)):
            return response.status, answer, f"HTTP {response.status} {_said(answer)}"
        return response.status, answer, ""

    def stream(
        self,
        path: str,
        query: Mapping[str, str],
        read_timeout_s: float,
        what: str,
        *,
        opened: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> Iterator[Mapping[str, Any]]:
        """Lines of JSON as they come, until the server or the network ends them. Tries once.

        `opened` is given a function that another thread may call to break the connection.

        Raises DataPlaneUnreachableError, and GoneError or another refusal.
        """
        import orjson
        from urllib3.exceptions import HTTPError

        try:
            response = self._send("GET", path, query, None, "application/json", None, read_timeout_s)
            if response.status != 200:
                answer = _decoded(response.read(), response.headers.get("Content-Type", ""))
                if is_passing(response.status, _said(answer)):
                    raise DataPlaneUnreachableError(f"{self.url}: {_said(answer)}")
                raise refused(Call("GET", what), response.status, answer)
            opened(lambda: _break(response))
            for line in _lines(response):
                yield orjson.loads(line)
        except (HTTPError, OSError) as error:
            raise DataPlaneUnreachableError(f"{self.url}: {_brief(error)}") from error

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        accept: str,
        content_type: str | None,
        read_timeout_s: float = _READ_TIMEOUT_S,
    ) -> Any:
        import orjson
        from urllib3 import Timeout

        headers = {"Accept": accept, "User-Agent": "slipway"}
        parameters: list[tuple[str, str]] = []
        # The configuration renews tokens that expire (exec plugins, projected ServiceAccount tokens).
        self._api.update_params_for_auth(headers, parameters, ["BearerToken"])
        if body is not None:
            headers["Content-Type"] = content_type or (_APPLY if method == "PATCH" else "application/json")
        return self._api.rest_client.pool_manager.request(
            method,
            self.url + path + _encoded({**dict(parameters), **(query or {})}),
            body=None if body is None else orjson.dumps(body),
            headers=headers,
            timeout=Timeout(connect=_CONNECT_TIMEOUT_S, read=read_timeout_s),
            retries=False,
            preload_content=read_timeout_s == _READ_TIMEOUT_S,
        )


def _encoded(query: Mapping[str, str]) -> str:
    from urllib.parse import urlencode

    return f"?{urlencode(query)}" if query else ""


def _break(response: Any) -> None:
    """End a read that waits in another thread; closing a socket alone does not wake it."""
    sock = getattr(getattr(response, "connection", None), "sock", None)
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):
            # Not an SSLSocket's own: it drops TLS first, and the other thread reads what is encrypted.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _lines(response: Any) -> Iterator[bytes]:
    left = b""
    for chunk in response.stream(amt=None, decode_content=True):
        *lines, left = (left + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def _decoded(data: bytes, content_type: str) -> Any:
    import orjson

    if "json" in content_type:
        return orjson.loads(data)
    return data.decode(errors="replace")


def _said(answer: Any) -> str:
    message = answer.get("message") if isinstance(answer, Mapping) else answer
    return str(message or "").strip()[:500]


def _brief(error: Exception) -> str:
    """The innermost reason: `Connection refused` rather than what wraps it."""
    reason = getattr(error, "reason", None) or error
    return f"{type(reason).__name__}: {reason}".rpartition(">: ")[2] or str(error)
