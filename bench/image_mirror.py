"""Registry to registry: our mirror against `skopeo copy`.

Belongs here: both sides, and the image that they copy. Does not: targets (artifacts.py).
Our side, once, is mirror_once.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import servers, sides
from bench.mirror_once import REPOSITORY, mirror_once
from slipway.objectstore import ObjectStore
from slipway.stack.ports import free_ports
from testbed import programs

MIB = 2**20
ROUNDS = 8
AGAIN_ROUNDS = 5
LAYERS = 6
IMAGE_BYTES = 1024 * MIB
_CONFIG = """version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True)
class Compared:
    """Ours and skopeo's, and how long our next mirror of the unchanged image takes."""

    ours: sides.Cost
    theirs: sides.Cost
    again_s: float

    @property
    def throughput_ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs.wall_s / self.ours.wall_s

    @property
    def cpu_ratio(self) -> float:
        """Our CPU seconds for one of theirs."""
        return self.ours.cpu_s / self.theirs.cpu_s


def compare(root: Path) -> Compared:
    """Copy the image with each side in turns, each time into a registry that was never used before."""
    with registry(root / "source") as source, servers.seaweed(root / "store") as store:
        push_image(source)

        def ours() -> sides.Cost:
            with registry(root / f"ours-{time.monotonic_ns()}") as target:
                _forget(store)
                return sides.run(
                    [sys.executable, "-m", "bench.mirror_once", json.dumps(_job(source, target, store))]
                )

        def theirs() -> sides.Cost:
            with registry(root / f"theirs-{time.monotonic_ns()}") as target:
                return sides.run(_skopeo(source, target), programs.skopeo().environment())

        costs = sides.in_turns({"ours": ours, "theirs": theirs}, ROUNDS)
        with registry(root / "again") as target:
            _forget(store)
            again_s = _again_s(_job(source, target, store))
    return Compared(costs["ours"], costs["theirs"], again_s)


@contextmanager
def registry(root: Path) -> Iterator[str]:
    """host:port of an empty registry (distribution) over plain http; its files go with it."""
    with servers.folder(root):
        yield from _registry(root)


def _registry(root: Path) -> Iterator[str]:
    port = free_ports(1)[0]
    (root / "config.yml").write_text(_CONFIG.format(root=root / "data", port=port))
    program = programs.current_registry()
    command = [str(program.path), "serve", str(root / "config.yml")]
    with servers.process(command, root / "registry.log", program.environment()):
        servers.wait_for(f"http://127.0.0.1:{port}/v2/", root / "registry.log")
        yield f"127.0.0.1:{port}"


def push_image(host: str) -> None:
    """Push an index over one platform of incompressible layers under the tag `v1`."""
    layers = [_push_blob(host, os.urandom(IMAGE_BYTES // LAYERS)) for _ in range(LAYERS)]
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **_push_blob(host, config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **each} for each in layers],
    }
    described = _push_manifest(host, manifest)
    _push_manifest(
        host,
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{**described, "platform": {"architecture": "amd64", "os": "linux"}}],
        },
        "v1",
    )


def _push_blob(host: str, body: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    begun = _send("POST", f"http://{host}/v2/{REPOSITORY}/blobs/uploads/", b"")
    at = begun["Location"]
    _send("PUT", f"{at}{'&' if '?' in at else '?'}digest={digest}", body)
    return {"digest": digest, "size": len(body)}


def _push_manifest(host: str, manifest: Mapping[str, Any], tag: str | None = None) -> dict[str, Any]:
    body, media_type = json.dumps(manifest).encode(), str(manifest["mediaType"])
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    _send("PUT", f"http://{host}/v2/{REPOSITORY}/manifests/{tag or digest}", body, media_type)
    return {"mediaType": media_type, "digest": digest, "size": len(body)}


def _send(
    method: str, url: str, body: bytes, media_type: str = "application/octet-stream"
) -> Mapping[str, str]:
    request = urllib.request.Request(url, body, {"Content-Type": media_type}, method=method)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return dict(reply.headers)


def _skopeo(source: str, target: str) -> list[str]:
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    return [
        str(programs.skopeo().path),
        "--insecure-policy",
        "copy",
        "--all",
        "--preserve-digests",
        *plain,
        f"docker://{source}/{REPOSITORY}:v1",
        f"docker://{target}/{REPOSITORY}:v1",
    ]


def _job(source: str, target: str, store: ObjectStore) -> dict[str, Any]:
    return {"source": source, "target": target, "store": vars(store.location)}


def _forget(store: ObjectStore) -> None:
    for item in list(store.list("images/")):
        store.delete(item.key)


def _again_s(job: Mapping[str, Any]) -> float:
    """Seconds of a mirror call when nothing changed, in a process that lives, as Dagster's does."""
    mirror_once(job)
    took = []
    for _ in range(AGAIN_ROUNDS):
        began = time.perf_counter()
        assert mirror_once(job).moved_bytes == 0
        took.append(time.perf_counter() - began)
    return statistics.median(took)
