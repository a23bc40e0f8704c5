"""HTTP connections to sources: through the proxy that the environment names, with redirects but no retries.

Belongs here: pools of connections, and words for what failed without a secret in them.
Does not: what is asked (hub.py, ngc.py), one ranged read (ranged.py).
"""

from __future__ import annotations

import threading
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import urllib3


class Connections:
    """Connections of one source, kept open between requests. Safe to share between threads.

    `ca_file`: PEM file of the authorities to trust; None trusts the system's.
    """

    def __init__(self, *, connections: int = 16, ca_file: str | None = None) -> None:
        self._connections = connections
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}

    def to(self, url: str) -> urllib3.PoolManager:
        """The pool for this URL: through the proxy that the environment names, if it names one."""
        import urllib3

        parts = urlsplit(url)
        with self._lock:
            proxy = self._proxy(parts.scheme, parts.hostname or "")
            if proxy not in self._pools:
                # Redirects are followed, without the Authorization header where the host changes. Trying
                # again is the caller's, who knows which bytes it still needs.
                settings: dict[str, Any] = {
                    "maxsize": self._connections,
                    "timeout": urllib3.Timeout(connect=10, read=30),
                    "ca_certs": self._ca_file,
                    "retries": urllib3.Retry(
                        total=None,
                        connect=0,
                        read=0,
                        redirect=5,
                        status=0,
                        other=0,
                        respect_retry_after_header=False,
                    ),
                }
                self._pools[proxy] = (
                    urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
                )
            return self._pools[proxy]

    def _proxy(self, scheme: str, name: str) -> str | None:
        """Looked up once for each host: with a request for every small file it is a tenth of its CPU."""
        if (scheme, name) not in self._proxies:
            bypassed = urllib.request.proxy_bypass(name)
            self._proxies[scheme, name] = None if bypassed else urllib.request.getproxies().get(scheme)
        return self._proxies[scheme, name]


def cause(error: Exception) -> object:
    """The cause without the URL that urllib3 puts into its message: it may hold a signature."""
    return getattr(error, "reason", None) or error


def host(url: str) -> str:
    """Scheme, host and port alone: what follows may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
