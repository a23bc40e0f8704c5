"""One HTTP request to a registry or to where it redirects, over connections that are used again.

Belongs here: TLS, proxies, timeouts, redirects, and network trouble in words.
Does not: credentials (auth.py), what the paths and answers mean (client.py, answers.py).
"""

from __future__ import annotations

import ssl
import threading
import urllib.request
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from slipway.artifacts.errors import AccessError, ArtifactError, SourceError
from slipway.artifacts.images.access import RegistryAccess
from slipway.artifacts.transfer.retry import TransientError

if TYPE_CHECKING:
    import urllib3

Body = bytes | Iterable[memoryview | bytes] | None

_CONNECT_S = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5


class Transport:
    """Connections to one registry, and to the servers that it sends us to. Safe to share between threads."""

    def __init__(self, access: RegistryAccess, *, connections: int = 8) -> None:
        self._access = access
        self._connections = connections
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str | None], urllib3.PoolManager] = {}

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body = None, *, read_s: float = 60.0
    ) -> Any:
        """One request; returns urllib3's answer with its body unread, whatever its status.

        Raises TransientError when the network fails, AccessError when the certificate is not trusted.
        """
        import urllib3

        try:
            return self._pool(url).request(
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
            raise self._untrusted(url, error) from error
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

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The pool for this URL: through the proxy that the environment names, if it names one."""
        import urllib3

        parts = urlsplit(url)
        bypassed = urllib.request.proxy_bypass(parts.hostname or "")
        proxy = None if bypassed else urllib.request.getproxies().get(parts.scheme)
        with self._lock:
            kind = (parts.scheme, proxy)
            if kind not in self._pools:
                settings: dict[str, Any] = {"maxsize": self._connections}
                if parts.scheme == "https":  # reading the authorities takes longer than many a request
                    settings["ssl_context"] = self._tls()
                self._pools[kind] = (
                    urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
                )
            return self._pools[kind]

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

    def _untrusted(self, url: str, error: Exception) -> ArtifactError | TransientError:
        said = str(cause(error))
        if "CERTIFICATE_VERIFY_FAILED" in said or "certificate" in said.lower():
            return AccessError(
                f"{origin(url)}: its certificate is not trusted: {said}. {self._access.untrusted}"
            )
        if "WRONG_VERSION_NUMBER" in said or "RECORD_LAYER_FAILURE" in said:
            return AccessError(f"{origin(url)} does not speak TLS. {self._access.plain}")
        return TransientError(f"{origin(url)}: TLS failed: {said}.")


def origin(url: str) -> str:
    """Scheme, host and port: what follows may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def cause(error: Exception) -> object:
    """The cause without the URL that urllib3 puts into its message."""
    return getattr(error, "reason", None) or (error.args[0] if error.args else error)
