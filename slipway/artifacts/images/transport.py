"""One HTTP request to a registry or to where it redirects.

Belongs here: TLS, timeouts, redirects, and network trouble in words.
Does not: pools of connections (slipway.artifacts.transfer.connections), credentials (auth.py), what the paths
and answers mean (client.py, registry_answers.py).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from slipway.artifacts.errors import AccessError, ArtifactError, SourceError
from slipway.artifacts.images.access import RegistryAccess
from slipway.artifacts.transfer.connections import Connections, cause, origin
from slipway.artifacts.transfer.retry import TransientError

Body = bytes | Iterable[memoryview | bytes] | None

_CONNECT_S = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
# OpenSSL reads the answer of a server without TLS as a record of an impossible version.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})


class Transport:
    """Connections to one registry, and to the servers that it sends us to. Safe to share between threads."""

    def __init__(self, access: RegistryAccess) -> None:
        self._access = access
        self._connections = Connections(tls=self._tls)

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = None, *, read_s: float = 60.0
    ) -> Any:
        """One request; returns urllib3's answer with its body unread, whatever its status.

        Raises TransientError when the network fails, AccessError when the certificate is not trusted.
        """
        import urllib3

        try:
            return self._connections.to(url).request(
                method,
                url,
                headers=dict(headers),
                body=body,  # type: ignore[arg-type]  # http.client sends any buffer
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
            )
        except urllib3.exceptions.SSLError as error:
            raise self._of_tls(url, error) from error
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{origin(url)} did not answer: {cause(error)}.") from error

    def follow(self, method: str, url: str, headers: Mapping[str, str]) -> Any:
        """A request without a body, through redirects. Credentials never go to another server."""
        for _ in range(_MOST_REDIRECTS):
            reply = self.send(method, url, headers)
            if reply.status not in _REDIRECTS or "Location" not in reply.headers:
                return reply
            target = urljoin(url, reply.headers["Location"])
            reply.drain_conn()
            reply.release_conn()
            self._check_redirect(url, target)
            if origin(target) != origin(url):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            url = target
        raise SourceError(f"{origin(url)}: more than {_MOST_REDIRECTS} redirects. Ask its operator.")

    def _check_redirect(self, url: str, target: str) -> None:
        scheme = urlsplit(target).scheme
        if scheme != "https" and not (scheme == "http" and self._access.plain_http):
            raise SourceError(
                f"{origin(url)} redirects to {origin(target)}, which is not https. {self._access.plain}"
            )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._access.ca_file is not None:
            try:
                context.load_verify_locations(self._access.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise AccessError(
                    f"{self._access.host}: the certificate authority in {self._access.ca_file} cannot be "
                    f"read: {error}. {self._access.untrusted}"
                ) from error
        return context

    def _of_tls(self, url: str, error: Exception) -> ArtifactError | TransientError:
        """What it means that TLS failed, by OpenSSL's name of the reason."""
        failed = cause(error)
        reason = str(getattr(failed, "reason", None) or "")
        if isinstance(failed, ssl.SSLCertVerificationError) or "CERTIFICATE" in reason:
            return AccessError(
                f"{origin(url)}: its certificate is not trusted: {failed}. {self._access.untrusted}"
            )
        if reason in _NOT_TLS:
            return AccessError(f"{origin(url)} does not speak TLS. {self._access.plain}")
        return TransientError(f"{origin(url)}: TLS failed: {failed}.")
