"""The cluster's certificates, keys and kubeconfigs.

Belongs here: one CA, one certificate per component, the ServiceAccount key. Does not: the tests' own.
"""

import base64
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.cluster.layout import API_SERVICE_IP, BRIDGE_IP, NODES

_LIFETIME = timedelta(days=365)
_API_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class Subject:
    """Who a certificate is for. `names` are DNS names and IP addresses that it serves under."""

    common_name: str
    group: str | None = None
    names: tuple[str, ...] = ()


# A client's group and common name are its identity: the API server gives these names their built-in roles.
SUBJECTS = {
    "apiserver": Subject("kube-apiserver", names=(*_API_NAMES, "127.0.0.1", BRIDGE_IP, API_SERVICE_IP)),
    "kubelet-client": Subject("kube-apiserver-kubelet-client", "system:masters"),
    "front-proxy": Subject("front-proxy"),
    "admin": Subject("admin", "system:masters"),
    "controller-manager": Subject("system:kube-controller-manager"),
    "scheduler": Subject("system:kube-scheduler"),
    "kube-proxy": Subject("system:kube-proxy"),
    **{
        node: Subject(f"system:node:{node}", "system:nodes", (node, "127.0.0.1", BRIDGE_IP)) for node in NODES
    },
    # KEDA's operator and metrics adapter talk to each other under this name.
    "keda": Subject("keda", names=("keda-operator.keda.svc", "keda-metrics-apiserver.keda.svc", BRIDGE_IP)),
    "metrics-server": Subject("metrics-server", names=("metrics-server.kube-system.svc",)),
}
KUBECONFIGS = ("admin", "controller-manager", "scheduler", "kube-proxy", *NODES)


def ensure(directory: Path, server: str) -> None:
    """Make all that is missing; `server` is the API server's URL. An interrupted call is begun again."""
    done = directory / "complete"
    if done.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    authority = _Authority()
    _write(directory / "ca.crt", authority.certificate_pem)
    _write(directory / "ca.key", _private_pem(authority.key))
    for name, subject in SUBJECTS.items():
        key, certificate = authority.issue(subject)
        _write(directory / f"{name}.key", key)
        _write(directory / f"{name}.crt", certificate)
        if name in KUBECONFIGS:
            text = _kubeconfig(server, authority.certificate_pem, certificate, key)
            _write(directory / f"{name}.kubeconfig", text)
    accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write(directory / "service-accounts.key", _private_pem(accounts))
    public = accounts.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(directory / "service-accounts.pub", public)
    done.touch()


class _Authority:
    """A CA of its own for each cluster; its key is in the run directory and goes with it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(Subject("slipway-test-cluster"))
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(self._name, self._name, self.key).add_extension(constraints, critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.certificate_pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, subject: Subject) -> tuple[bytes, bytes]:
        """Key and certificate, PEM, good for servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(_name(subject), self._name, key).add_extension(usage, critical=False)
        if subject.names:
            alternatives = x509.SubjectAlternativeName(list(_general_names(subject.names)))
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return _private_pem(key), certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _name(subject: Subject) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)]
    if subject.group is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.group))
    return x509.Name(attributes)


def _general_names(names: Iterable[str]) -> Iterable[x509.GeneralName]:
    for each in names:
        try:
            yield x509.IPAddress(ipaddress.ip_address(each))
        except ValueError:
            yield x509.DNSName(each)


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _kubeconfig(server: str, authority: bytes, certificate: bytes, key: bytes) -> bytes:
    """Everything within one file, so that it can be copied; RFC 4648 base64 as client-go wants it."""
    encoded = {
        name: base64.b64encode(value).decode()
        for name, value in (("ca", authority), ("certificate", certificate), ("key", key))
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "slipway-test",
        "clusters": [
            {
                "name": "slipway-test",
                "cluster": {"server": server, "certificate-authority-data": encoded["ca"]},
            }
        ],
        "users": [
            {
                "name": "slipway-test",
                "user": {
                    "client-certificate-data": encoded["certificate"],
                    "client-key-data": encoded["key"],
                },
            }
        ],
        "contexts": [
            {"name": "slipway-test", "context": {"cluster": "slipway-test", "user": "slipway-test"}}
        ],
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
