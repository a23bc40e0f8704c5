"""Images that are made here and pushed with plain HTTP requests: all is known to the byte.

Belongs here: blobs, manifests, indexes, signatures. Does not: the registry (registry_server.py).
"""

import base64
import hashlib
import json
import random
import ssl
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from testbed.registries.registry_server import PASSWORD, USER

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
KIB = 2**10


def sha256(body: bytes) -> str:
    """The digest, as registries write it."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass
class ImageMaker:
    """Pushes to one repository of a registry, and remembers what it pushed."""

    base_url: str
    path: str
    context: ssl.SSLContext | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    draw: random.Random = field(default_factory=lambda: random.Random(20260102))

    def blob(self, body: bytes, digest: str | None = None) -> dict[str, Any]:
        """Push a blob; returns its descriptor without a media type."""
        digest = digest or sha256(body)
        _, headers = self._send("POST", f"/v2/{self.path}/blobs/uploads/", b"")
        at = headers["Location"].removeprefix(self.base_url)
        self._send("PUT", f"{at}{'&' if '?' in at else '?'}digest={digest}", body, "application/octet-stream")
        self.blobs[digest] = body
        return {"digest": digest, "size": len(body)}

    def manifest(self, document: dict[str, Any], tag: str | None = None) -> dict[str, Any]:
        """Push a manifest, spaced as nobody else would, by its digest or a tag; returns its descriptor."""
        body = json.dumps(document, indent=3).encode()
        digest = sha256(body)
        self._send("PUT", f"/v2/{self.path}/manifests/{tag or digest}", body, document["mediaType"])
        self.manifests[digest] = body
        return {"mediaType": document["mediaType"], "digest": digest, "size": len(body)}

    def image(
        self,
        architecture: str = "amd64",
        *,
        tag: str | None = None,
        docker: bool = False,
        layers: tuple[bytes, ...] | None = None,
        licence: str | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Push an image for one platform; returns its descriptor."""
        layers = layers if layers is not None else tuple(self.draw.randbytes(150 * KIB) for _ in range(2))
        labels = {"org.opencontainers.image.licenses": licence} if licence else {}
        diff_ids = [sha256(layer) for layer in layers]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        types = (
            (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
            if docker
            else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
        )
        document = {
            "schemaVersion": 2,
            "mediaType": types[0],
            "config": {"mediaType": types[1], **self.blob(json.dumps(config).encode())},
            "layers": [{"mediaType": types[2], **self.blob(layer)} for layer in layers],
            **more,
        }
        return self.manifest(document, tag)

    def index(
        self, *platforms: str, tag: str, docker: bool = False, attested: bool = False, **more: Any
    ) -> dict[str, Any]:
        """Push an index of one image per architecture; `attested` adds BuildKit's kind of attestation."""
        entries = []
        for architecture in platforms:
            described = self.image(architecture, docker=docker, licence="Apache-2.0")
            entries.append({**described, "platform": {"os": "linux", "architecture": architecture}})
        for each in list(entries) if attested else []:
            about = {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": each["digest"],
            }
            described = self.image("unknown", layers=(each["digest"].encode(),))
            unknown = {"os": "unknown", "architecture": "unknown"}
            entries.append({**described, "platform": unknown, "annotations": about})
        kind = DOCKER_LIST if docker else OCI_INDEX
        document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries, **more}
        return self.manifest(document, tag)

    def artifact(self, content: bytes, *, tag: str | None = None, **more: Any) -> dict[str, Any]:
        """Push what is no image: a signature, an attestation, an SBOM."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", **self.blob(b"{}")},
            "layers": [{"mediaType": "application/octet-stream", **self.blob(content)}],
            **more,
        }
        return self.manifest(document, tag)

    def sign(self, digest: str, kind: str = "sig") -> dict[str, Any]:
        """Push a signature as cosign does: under a tag that is made of the digest."""
        return self.artifact(f"{kind} of {digest}".encode(), tag=f"{digest.replace(':', '-')}.{kind}")

    def delete(self, digest: str) -> None:
        """Remove a manifest."""
        self._send("DELETE", f"/v2/{self.path}/manifests/{digest}")

    def _send(
        self, method: str, path: str, body: bytes | None = None, content_type: str = ""
    ) -> tuple[bytes, Any]:
        headers = {
            "Content-Type": content_type,
            "Accept": f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}",
        }
        headers["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        url = path if "://" in path else self.base_url + path
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=120, context=self.context) as reply:
            return reply.read(), reply.headers
