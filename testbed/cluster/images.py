"""Container images without Docker: OCI archives of one layer, written here and imported into the node.

Belongs here: the archive, the images that the cluster brings, their references by digest.
Does not: containerd's start (node.py).
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.cluster import binaries
from testbed.cluster.debian import NodePrograms
from testbed.cluster.errors import ClusterError
from testbed.cluster.layout import CHECKOUT, IMAGE_REGISTRY, Layout
from testbed.vllm import environments

# Users are numbers: Pod Security `restricted` cannot tell whether a name is root.
_USER = "10001:10001"
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nslipway:x:10001:10001::/tmp:/bin/sh\n"
_GROUP = b"root:x:0:\nslipway:x:10001:\n"
_DIRECTORIES = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp")
_LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}

# What a pod of a `venv/` image gets of this machine, read-only, besides system, Python and environments.
_CODE = ("slipway", "resources", "assets", "sensors", "pipelines", "testbed")


@dataclass(frozen=True)
class Image:
    """One image: `programs` are copied into its root directory, `config` is the OCI image configuration's.

    `tag` is the reference by tag; never `latest`, which the kubelet would pull.
    """

    tag: str
    programs: tuple[Path, ...] = ()
    config: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """An image on the node."""

    tag: str
    digest: str

    @property
    def reference(self) -> str:
        """Reference by digest, as a renderer writes it."""
        return f"{self.tag.rpartition(':')[0]}@{self.digest}"


def host_paths() -> list[Path]:
    """What `venv/` images are bound to; a path below another of them is left out.

    Raises ClusterError for a checkout below /tmp, which is a pod's own.
    """
    if Path("/tmp") in CHECKOUT.parents:
        raise ClusterError(
            f"this checkout is {CHECKOUT}, and pods have a /tmp of their own. Move it elsewhere."
        )
    paths = {Path("/usr"), Path(sys.base_prefix), Path(sys.prefix), *(CHECKOUT / each for each in _CODE)}
    vllm = environments.vllm_made()
    existing = sorted(each for each in paths | ({vllm} if vllm else set()) if each.is_dir())
    return [each for each in existing if not any(other in each.parents for other in existing)]


def brought(layout: Layout) -> dict[str, Image]:
    """The images that every cluster has, by name.

    `pause`: sandboxes. `web`: the smallest real server. `blank`: nothing, for programs by hostPath.
    `venv/engine`, `venv/gateway`: this virtual environment, by their names bound to it through RuntimeClass.
    """
    pause, web = (binaries.program(layout, name) for name in ("pause", "web"))
    return {
        "pause": Image(_tag("pause"), (pause,), {"Entrypoint": ["/pause"], "User": _USER}),
        "web": Image(_tag("web"), (web,), {"Entrypoint": ["/web"], "User": _USER}),
        "blank": Image(_tag("blank"), (), {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}),
        "venv/engine": of_environment(_tag("venv/engine")),
        "venv/gateway": of_environment(_tag("venv/gateway")),
    }


def of_environment(reference: str, prefix: Path | None = None, entry_point: Sequence[str] = ()) -> Image:
    """An empty image set up for a virtual environment, under any name: `vllm/vllm-openai:v0.12.0`.

    The environment is this one, or that in `prefix`, which `host_paths` has to name.
    """
    config = {
        "User": _USER,
        **({"Entrypoint": [*entry_point]} if entry_point else {}),
        "Env": [
            f"PATH={prefix or sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE=1",
            "PYTHONUNBUFFERED=1",
            "HOME=/tmp",
        ],
        # containerd confuses two names of one image, so no two are the same.
        "Labels": {"org.opencontainers.image.title": reference},
    }
    return Image(_normalized(reference), (), config)


def _tag(name: str) -> str:
    return f"{IMAGE_REGISTRY}/{name}:1"


def _normalized(reference: str) -> str:
    """As container runtimes read it: a name whose first part is no host is one of docker.io."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"


def ensure(layout: Layout, programs: NodePrograms, images: Mapping[str, Image]) -> dict[str, Stored]:
    """Import what is not on the node yet, and name all by digest, too."""
    present = set(ctr(layout, programs, "images", "list", "-q").split())
    stored = {}
    for name, image in images.items():
        content, digest = archive(image)
        each = Stored(image.tag, digest)
        if each.reference not in present:
            ctr(layout, programs, "images", "import", "-", content=content)
            ctr(layout, programs, "images", "tag", "--force", each.tag, each.reference)
        stored[name] = each
    return stored


def ctr(layout: Layout, programs: NodePrograms, *arguments: str, content: bytes | None = None) -> str:
    """Run containerd's own client in the kubelet's namespace. Raises ClusterError."""
    command = ["ctr", "--address", str(layout.containerd_socket), "--namespace", "k8s.io", *arguments]
    result = subprocess.run(command, input=content, env=programs.environment(), capture_output=True)
    if result.returncode != 0:
        raise ClusterError(f"ctr {' '.join(arguments)}: {result.stderr.decode().strip()}")
    return result.stdout.decode()


def archive(image: Image) -> tuple[bytes, str]:
    """An OCI image layout as a tar, and the manifest's digest; the same input gives the same bytes.

    Source: OCI image-spec 1.1, image-layout.md; containerd takes the name from the annotation.
    """
    layer = _layer(image)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": dict(image.config),
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    )
    named = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    index = _json(
        {"schemaVersion": 2, "manifests": [named | {"annotations": {"io.containerd.image.name": image.tag}}]}
    )
    files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index}
    for blob in (layer, config, manifest):
        files[f"blobs/sha256/{_digest(blob).partition(':')[2]}"] = blob
    return _tar([(_entry(name, size=len(content)), content) for name, content in files.items()]), _digest(
        manifest
    )


def _layer(image: Image) -> bytes:
    entries = [
        (_entry(name, tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755), b"")
        for name in _DIRECTORIES
    ]
    for name, target in _LINKS.items():
        link = _entry(name, tarfile.SYMTYPE)
        link.linkname = target
        entries.append((link, b""))
    for name, content in (("etc/passwd", _PASSWD), ("etc/group", _GROUP)):
        entries.append((_entry(name, mode=0o644, size=len(content)), content))
    for program in image.programs:
        content = program.read_bytes()
        entries.append((_entry(program.name, size=len(content)), content))
    return _tar(entries)


def _entry(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o755, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry, content in entries:
            tar.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
