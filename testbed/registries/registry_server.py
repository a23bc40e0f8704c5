"""Real registries: distribution's and go-containerregistry's, each a process of its own.

Belongs here: their configuration and lives. Does not: what is pushed to them (made_images.py), tokens
(token_server.py).
"""

import datetime
import ipaddress
import json
import ssl
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from slipway.stack.ports import free_ports
from testbed import programs
from testbed.programs import Program
from testbed.server_processes import end, wait_until_answered

USER, PASSWORD = "reader", "correct-horse"
# `htpasswd -nbB reader correct-horse`, at the lowest cost.
HTPASSWD = "reader:$2b$04$abcdefghijklmnopqrstuuPoaPXzWjiVz4HaNq2LJXksWbO79E.S6\n"


class _Registry(ABC):
    """A port on loopback and a process; use it in a `with`, or start and stop it."""

    port: int
    process: subprocess.Popen[bytes] | None

    @property
    def host(self) -> str:
        """Host and port, as references begin."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start it, and wait until it answers."""

    def stop(self) -> None:
        """Kill it; harmless when it does not run."""
        if self.process is not None:
            end(self.process)

    def _begin(self, program: Program, command: list[str], log: Path) -> None:
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=program.environment(), stdout=output, stderr=subprocess.STDOUT
            )


@dataclass
class DistributionRegistry(_Registry):
    """distribution (docker-registry) on loopback; `secured`: TLS by a CA of its own, and basic auth."""

    root: Path
    secured: bool = False
    plain: bool = False  # without TLS although it asks for credentials
    more: dict[str, object] = field(default_factory=dict)  # sections of its configuration
    port: int = field(default_factory=lambda: free_ports(1)[0])
    readonly: bool = False
    program: Callable[[], Program] = programs.registry
    most_file_kib: int | None = None  # the largest file that it can write: its disk is full beyond
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where its API is."""
        return f"{'https' if self.secured and not self.plain else 'http'}://{self.host}"

    @property
    def ca_file(self) -> Path:
        """The certificate of its CA, where it is secured."""
        return self.root / "ca.pem"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.root / "registry.log"

    def start(self) -> None:
        """Write its configuration, start it, and wait until it answers."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self.secured and not self.ca_file.exists():
            make_certificate(self.root)
            (self.root / "htpasswd").write_text(HTPASSWD)
        (self.root / "config.yml").write_text(json.dumps(self._config()))  # JSON is YAML
        program = self.program()
        command = [str(program.path), "serve", str(self.root / "config.yml")]
        if self.most_file_kib is not None:
            command = ["bash", "-c", f'ulimit -f {self.most_file_kib}; exec "$@"', "-", *command]
        self._begin(program, command, self.log)
        tls = ssl.create_default_context(cafile=str(self.ca_file)) if self.secured else None
        wait_until_answered(f"{self.base_url}/v2/", self.log, by=self.process, tls=tls)

    def restart(self, **changes: object) -> None:
        """Stop it, change its fields, and start it again on what it holds."""
        self.stop()
        for name, value in changes.items():
            setattr(self, name, value)
        self.start()

    def blob_file(self, digest: str) -> Path:
        """Where a blob lies on its disk."""
        algorithm, _, hexadecimal = digest.partition(":")
        blobs = self.root / "storage/docker/registry/v2/blobs"
        return blobs / algorithm / hexadecimal[:2] / hexadecimal / "data"

    def uploads(self) -> list[Path]:
        """Uploads that were begun and neither committed nor cancelled."""
        return [path for path in (self.root / "storage").rglob("_uploads/*") if path.is_dir()]

    def requests(self, method: str, part: str) -> int:
        """Requests so far whose line in the log holds a text; the access log is in the combined format."""
        lines = self.log.read_text(errors="replace").splitlines()
        return sum(f'"{method} ' in line and part in line for line in lines)

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.root / "storage")},
                "delete": {"enabled": True},
                "maintenance": {"readonly": {"enabled": self.readonly}},
            },
            "http": {"addr": self.host, "secret": "test"},
        }
        if self.secured:
            tls = {"certificate": str(self.root / "server.pem"), "key": str(self.root / "server.key")}
            config["http"] = {"addr": self.host, "secret": "test", **({} if self.plain else {"tls": tls})}
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.root / "htpasswd")}}
        return {**config, **self.more}


@dataclass
class ListingRegistry(_Registry):
    """go-containerregistry's: in memory, plain http, with the referrers API that distribution 2.8 lacks."""

    log: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where its API is."""
        return f"http://{self.host}"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        program = programs.listing_registry()
        command = [str(program.path), self.host]
        self._begin(program, command, self.log)
        wait_until_answered(f"{self.base_url}/v2/", self.log, by=self.process)


def make_certificate(directory: Path) -> None:
    """A CA (ca.pem) and a certificate of it for 127.0.0.1 (server.pem, server.key)."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test CA")])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])

    def builder(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )

    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = (
        builder(name, key.public_key()).add_extension(loopback, critical=False).sign(ca_key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (directory / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (directory / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
