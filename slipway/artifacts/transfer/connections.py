"""HTTP connections to sources and registries: through the proxy that the environment names, without retries.

Belongs here: pools of connections, giving one back, and words for what failed without a secret in them.
Does not: what is asked (slipway.artifacts.sources, slipway.artifacts.images), one ranged read (ranged.py).
"""

from __future__ import annotations

import ssl
import threading
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import urllib3

_KEPT_OPEN = 16


class Connections:
    """Connections of one source or registry, kept open between requests. Safe to share between threads.

    `ca_file`: PEM file of the authorities to trust; None trusts the system's. `tls` makes the context for who
    trusts both; only when https is spoken, as reading the authorities takes longer than many a request.
    """

    def __init__(
        self, *, ca_file: str | None = None, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._ca_file = ca_file
        self._tls = tls
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str | None], urllib3.PoolManager] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}

    def to(self, url: str) -> urllib3.PoolManager:
        """The pool for this URL: through the proxy that the environment names, if it names one."""
        import urllib3

        parts = urlsplit(url)
        with self._lock:
            proxy = self._proxy(parts.scheme, parts.hostname or "")
            kind = (parts.scheme, proxy)
            if kind not in self._pools:
                settings = self._settings(parts.scheme)
                self._pools[kind] = (
                    urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
                )
            return self._pools[kind]

    def _settings(self, scheme: str) -> dict[str, Any]:
        """Redirects are followed, without the Authorization header where the host changes.

        Trying again is the caller's, who knows which bytes it still needs.
        """
        import urllib3

        return {
            "maxsize": _KEPT_OPEN,
            "timeout": urllib3.Timeout(connect=10, read=30),
            "retries": urllib3.Retry(
                total=None,
                connect=0,
                read=0,
                redirect=5,
                status=0,
                other=0,
                respect_retry_after_header=False,
            ),
            "ca_certs": self._ca_file,
            "ssl_context": self._tls() if self._tls and scheme == "https" else None,
        }

    def _proxy(self, scheme: str, name: str) -> str | None:
        """Looked up once for each host: with a request for every small file it is a tenth of its CPU."""
        if (scheme, name) not in self._proxies:
            bypassed = urllib.request.proxy_bypass(name)
            self._proxies[scheme, name] = None if bypassed else urllib.request.getproxies().get(scheme)
        return self._proxies[scheme, name]


def hand_back(reply: Any) -> None:
    """Keep the connection where nothing of the answer is left in it; otherwise it must not be used again."""
    if reply.length_remaining == 0 and not reply.chunked:
        reply.release_conn()
    else:
        reply.close()


def cause(error: Exception) -> object:
    """The cause without the URL that urllib3 puts into its message: it may hold a signature."""
    return getattr(error, "reason", None) or (error.args[0] if error.args else error)


def origin(url: str) -> str:
    """Scheme, host and port alone: what follows may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
