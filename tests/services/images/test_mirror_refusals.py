"""What cannot be mirrored: one message with the thing and the remedy, no record; corrected, it completes."""

import json

import pytest

from slipway.artifacts.errors import (
    AccessError,
    ArtifactError,
    CorruptFileError,
    SourceError,
    SourceUnavailableError,
)
from slipway.artifacts.images.errors import TargetError
from slipway.artifacts.images.mirror import mirror
from slipway.artifacts.images.registries import Registries
from slipway.catalog.documents import Registry, Settings
from slipway.catalog.fields import SecretRef
from slipway.environment import Environment
from testbed.registries.made_images import OCI_INDEX, ImageMaker, sha256
from testbed.registries.registry_server import DistributionRegistry

from .conftest import PATH, QUICK


@pytest.fixture
def refused(run_mirror, request_for, records, target):
    """Mirror, expect this error with this text, and nothing published."""

    def check(error: type[ArtifactError], text: str, **request: object) -> ArtifactError:
        with pytest.raises(error, match=text) as raised:
            run_mirror(request_for(**request))
        assert records.all() == []
        return raised.value

    return check


@pytest.fixture
def completes(run_mirror, request_for, read_back):
    """Mirror again: now it works, and skopeo reads it."""

    def check(**request: object) -> None:
        record = run_mirror(request_for(**request)).record
        reference = record.reference.rpartition("@")[2]
        assert sha256(read_back(record, reference)) == reference

    return check


def test_an_unknown_tag_or_repository_is_named(maker, refused, completes, source):
    refused(SourceError, "team/engine:v1: no such repository or tag")
    maker.image(tag="v1")
    refused(SourceError, "team/engine:v9: no such repository or tag", tag="v9")
    refused(SourceError, "team/absent:v1: no such", image=f"{source.host}/team/absent")
    refused(SourceError, f"sha256:{'0' * 64}: no such manifest", digest=f"sha256:{'0' * 64}")
    completes()


def test_a_missing_blob_is_named(maker, source, target, refused, completes):
    layer = maker.draw.randbytes(50_000)
    maker.image(tag="v1", layers=(layer, b"another"))
    source.blob_file(sha256(layer)).unlink()
    refused(SourceError, f"blob {sha256(layer)}: missing at its source.*Push it there again")
    assert target.uploads() == []
    maker.blob(layer)
    completes()


@pytest.mark.parametrize("cut", [0, 100], ids=["same-size", "shorter"])
def test_a_corrupted_blob_is_never_committed(maker, source, target, refused, completes, cut):
    layer = maker.draw.randbytes(3_000_000)
    maker.image(tag="v1", layers=(layer,))
    file = source.blob_file(sha256(layer))
    file.write_bytes(b"\x00" * 1000 + layer[1000 : len(layer) - cut])
    refused(CorruptFileError, f"blob {sha256(layer)}: .*Push the image there again")
    assert not target.blob_file(sha256(layer)).exists()
    file.write_bytes(layer)
    completes()


def test_a_corrupted_manifest_is_named(maker, source, refused, completes):
    digest = maker.image(tag="v1")["digest"]
    file = source.blob_file(digest)
    body = file.read_bytes()
    file.write_bytes(body.replace(b"linux", b"Linux").replace(b'"schemaVersion": 2', b'"schemaVersion":  2'))
    refused(CorruptFileError, f"manifest {digest}: its bytes have the digest")
    file.write_bytes(body)
    completes()


def test_a_platform_that_is_not_in_the_index_is_named_with_those_that_are(maker, refused, completes):
    maker.index("amd64", "arm64", tag="v1")
    refused(
        SourceError,
        r"platform linux/riscv64 is not in it; it has linux/amd64, linux/arm64\.",
        platforms=["linux/riscv64"],
    )
    completes(platforms=["linux/amd64"])


def test_a_digest_that_cannot_be_verified_is_refused(maker, refused, completes, source):
    layer = maker.draw.randbytes(1000)
    descriptor = maker.blob(layer)
    digest = maker.image(tag="v1", layers=(layer,))["digest"]
    body = maker.manifests[digest]
    forged = body.replace(descriptor["digest"].encode(), b"md5:900150983cd24fb0d6963f7d28e17f72")
    _replace_manifest(source, digest, forged, "v1")
    refused(SourceError, "md5:900150983cd24fb0d6963f7d28e17f72: unknown algorithm 'md5'.*sha256 and sha512")
    maker.image(tag="v1")
    completes()


def test_sha512_layers_are_verified_too(maker, request_for, run_mirror, target):
    import hashlib

    layer = maker.draw.randbytes(2000)
    digest = f"sha512:{hashlib.sha512(layer).hexdigest()}"
    described = maker.blob(layer, digest)
    config = maker.blob(b'{"os": "linux", "architecture": "amd64"}')
    maker.manifest(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **described}],
        },
        "v1",
    )
    assert digest in run_mirror(request_for()).record.blobs


@pytest.mark.parametrize("tag", ["large", "lists-large"])
def test_a_manifest_that_is_too_large_is_refused(listing, refused, completes, tag):
    """From a registry that takes it; distribution does not."""
    maker = ImageMaker(listing.base_url, PATH)
    large = maker.image(tag="large", annotations={"filler": "x" * (4 * 2**20)})
    maker.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [large]}, "lists-large")
    image = f"{listing.host}/{PATH}"
    refused(
        SourceError, "larger than 4194304.*the most that registries take.*fewer layers", image=image, tag=tag
    )
    maker.image(tag=tag)
    completes(image=image, tag=tag)


def test_a_layer_that_lies_elsewhere_is_refused(maker, refused, source):
    layer = maker.blob(b"windows")
    config = maker.blob(b"{}")
    digest = maker.image(tag="v1")["digest"]
    assert digest
    foreign = {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", **layer}
    document = json.loads(maker.manifests[digest])
    document["layers"] = [{**foreign, "urls": ["https://example.com/layer"]}]
    document["config"] = {**document["config"], **config}
    _replace_manifest(source, digest, json.dumps(document).encode(), "v1")
    refused(SourceError, f"layer {layer['digest']} lies outside the registry .*may not be copied")


class TestAccess:
    @pytest.fixture
    def attempt(self, store, tmp_path, variables, request_for, source, maker, records):
        """Mirror with other settings of the source; returns the refusal's message."""
        maker.image(tag="v1")

        def run(registry: Registry | None, **more: str) -> str:
            settings = Settings(name="x", registries={source.host: registry} if registry else {})
            registries = Registries(Environment({**variables, **more}, tmp_path), settings, QUICK)
            with pytest.raises(AccessError) as refused:
                mirror(request_for(), store, registries, lambda look: None)
            assert records.all() == []
            return str(refused.value)

        return run

    def test_wrong_credentials_are_named_by_their_variable_and_never_shown(self, attempt, source):
        login = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), ca_file=str(source.ca_file))
        said = attempt(login, SOURCE_LOGIN="reader:mistyped")
        assert "does not accept the credentials in SOURCE_LOGIN" in said and "mistyped" not in said
        assert "does not hold user:password" in attempt(login, SOURCE_LOGIN="mistyped")
        assert "SOURCE_LOGIN, which is not set" in attempt(login, SOURCE_LOGIN="")

    def test_no_credentials_say_where_to_name_them(self, attempt, source):
        said = attempt(Registry(ca_file=str(source.ca_file)))
        assert "asks for credentials, and none are set. Name its credentials" in said
        assert f"registries[{source.host}].pull_secret" in said

    def test_a_kubernetes_secret_is_not_readable_here(self, attempt):
        said = attempt(Registry(pull_secret=SecretRef(secret="ngc")))
        assert "a Kubernetes Secret is for the cluster" in said and "pull_secret.env" in said

    def test_an_unknown_authority_is_not_trusted(self, attempt, source):
        said = attempt(None)
        assert "certificate is not trusted" in said and f"registries[{source.host}].ca_file" in said
        assert "cannot be read" in attempt(Registry(ca_file="/nowhere/ca.pem"))

    def test_plain_http_only_when_the_catalog_says_so(
        self, attempt, request_for, target, store, variables, tmp_path
    ):
        """The target, read as a source."""
        request = request_for(image=f"{target.host}/team/engine")
        registries = Registries(Environment(variables, tmp_path), Settings(name="x"), QUICK)
        with pytest.raises(
            AccessError, match=rf"does not speak TLS.*registries\[{target.host}\].insecure_http"
        ):
            mirror(request, store, registries, lambda look: None)


def test_a_target_that_wants_credentials_names_its_variables(
    maker, source, store, tmp_path, request_for, settings, variables, records
):
    maker.image(tag="v1")
    there = {"SLIPWAY_REGISTRY": source.host, "SLIPWAY_REGISTRY_CA": str(source.ca_file)}
    registries = Registries(
        Environment({"SOURCE_LOGIN": variables["SOURCE_LOGIN"], **there}, tmp_path), settings, QUICK
    )
    with pytest.raises(AccessError, match="Set SLIPWAY_REGISTRY_USERNAME and SLIPWAY_REGISTRY_PASSWORD"):
        mirror(request_for(), store, registries, lambda look: None)
    assert records.all() == []


def test_a_read_only_target_says_so(maker, target, refused, completes):
    maker.image(tag="v1")
    target.restart(readonly=True)
    refused(TargetError, "does not allow this. If it is read-only, make it writable")
    target.restart(readonly=False)
    completes()


def test_a_full_target_says_so(maker, target, refused, completes):
    """Full for files above 100 KiB, which is what its process may write."""
    layer = maker.draw.randbytes(5_000_000)
    maker.image(tag="v1", layers=(layer,))
    target.restart(most_file_kib=100)
    refused(TargetError, f"blob {sha256(layer)}.*{target.host}.*it has no room. Free space there")
    target.restart(most_file_kib=None)
    completes()


def test_a_target_that_is_down_is_tried_again_and_then_named(maker, target, refused, completes):
    maker.image(tag="v1")
    target.stop()
    error = refused(SourceUnavailableError, f"{target.host}.*Run this again when it is back")
    assert error.retriable
    target.start()
    completes()


def _replace_manifest(source: DistributionRegistry, digest: str, body: bytes, tag: str) -> None:
    """Put a manifest into the registry's files that its API would refuse, and let the tag name it."""
    forged = sha256(body)
    file = source.blob_file(forged)
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    manifests = source.root / "storage/docker/registry/v2/repositories/team/engine/_manifests"
    link = manifests / "revisions/sha256" / forged.removeprefix("sha256:") / "link"
    link.parent.mkdir(parents=True)
    link.write_text(forged)
    (manifests / "tags" / tag / "current/link").write_text(forged)
