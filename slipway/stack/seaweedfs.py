"""SeaweedFS as the embedded object store: its command line and environment.

Belongs here: how one `weed mini` process is started on loopback.
Does not: starting it (the supervisor, or testbed).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SeaweedPorts:
    """Every port of `weed mini`; one left out would move silently when its default is taken."""

    s3: int
    s3_grpc: int
    master: int
    master_grpc: int
    volume: int
    volume_grpc: int
    filer: int
    filer_grpc: int
    admin: int
    admin_grpc: int


def command(data_dir: Path, log_dir: Path, ports: SeaweedPorts) -> list[str]:
    """Command line of one `weed mini`; filer, master and volume answer without auth, so bind loopback."""
    return [
        str(Path(sys.executable).with_name("weed")),
        f"-logdir={log_dir}",
        "mini",
        f"-dir={data_dir}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.port={ports.s3}",
        f"-s3.port.grpc={ports.s3_grpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-master.port={ports.master}",
        f"-master.port.grpc={ports.master_grpc}",
        f"-volume.port={ports.volume}",
        f"-volume.port.grpc={ports.volume_grpc}",
        f"-filer.port={ports.filer}",
        f"-filer.port.grpc={ports.filer_grpc}",
        f"-admin.port={ports.admin}",
        f"-admin.port.grpc={ports.admin_grpc}",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-filer.maxMB=1",
    ]


def environment(access_key: str, secret_key: str) -> dict[str, str]:
    """Variables that give the store its one identity and bound its heap."""
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key, "GOMEMLIMIT": "512MiB"}
