"""A fake token server: gives out tokens that the real registry verifies, as Docker's and NGC's do.

Source: https://distribution.github.io/distribution/spec/auth/jwt/

Belongs here: who is let in, and the tokens. Does not: the registry (registry_server.py).
"""

import base64
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509 import load_pem_x509_certificate

SERVICE = "test registry"


def _encoded(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


@dataclass
class FakeTokenServer:
    """Grants what is asked to `login`, and `pull` alone to the anonymous where they are welcome."""

    certificate: Path
    key: Path
    login: str
    anonymous: bool = False
    life_s: int = 300
    asked: list[tuple[list[str], str | None]] = field(default_factory=list)  # scopes, Authorization

    def __enter__(self) -> "FakeTokenServer":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                status, body = outer.answer(query, self.headers.get("Authorization"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def realm(self) -> str:
        """Where tokens are asked for."""
        return f"http://127.0.0.1:{self._server.server_port}/token"

    def auth(self) -> dict[str, object]:
        """The registry's configuration."""
        return {
            "token": {
                "realm": self.realm,
                "service": SERVICE,
                "issuer": "test issuer",
                "rootcertbundle": str(self.certificate),
            }
        }

    def answer(self, query: dict[str, list[str]], authorization: str | None) -> tuple[int, bytes]:
        """Status and body for a request with these parameters and credentials."""
        scopes = query.get("scope", [])
        self.asked.append((scopes, authorization))
        known = authorization == "Basic " + base64.b64encode(self.login.encode()).decode()
        if not known and (authorization is not None or not self.anonymous):
            return 401, b"{}"
        access: list[dict[str, object]] = []
        for scope in scopes:
            kind, _, named = scope.partition(":")
            name, _, actions = named.rpartition(":")
            granted = [each for each in actions.split(",") if known or each == "pull"]
            access.append({"type": kind, "name": name, "actions": granted})
        token = self._signed(access)
        return 200, json.dumps({"token": token, "expires_in": self.life_s}).encode()

    def _signed(self, access: list[dict[str, object]]) -> str:
        certificate = load_pem_x509_certificate(self.certificate.read_bytes())
        key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        now = int(time.time())
        claims = {
            "iss": "test issuer",
            "sub": "test",
            "aud": SERVICE,
            "exp": now + self.life_s,
            "nbf": now - 5,
            "iat": now,
            "jti": str(len(self.asked)),
            "access": access,
        }
        header = {"typ": "JWT", "alg": "ES256", "x5c": [der]}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
