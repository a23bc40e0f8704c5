"""Images arrive byte for byte, with all that is attached to them, and skopeo reads them."""

import json

import pytest

from slipway.artifacts.images.mirror import mirror, moved, resolve
from slipway.artifacts.images.references import kept_tag
from slipway.artifacts.images.registries import Registries
from slipway.environment import Environment
from testbed.registries.made_images import OCI_INDEX, sha256
from testbed.registries.registry_server import PASSWORD, USER

from .conftest import QUICK


@pytest.mark.parametrize("docker", [False, True], ids=["oci-index", "docker-list"])
def test_an_index_with_all_platforms_keeps_its_digest(maker, request_for, run_mirror, read_back, docker):
    digest = maker.index("amd64", "arm64", tag="v1", docker=docker)["digest"]
    record = run_mirror(request_for()).record
    assert record.digest == digest and record.whole
    assert sorted(record.platforms) == ["linux/amd64", "linux/arm64"]
    for reference in (digest, "v1", kept_tag(digest)):
        assert sha256(read_back(record, reference)) == digest
    for platform_digest in record.platforms.values():
        assert sha256(read_back(record, platform_digest)) == platform_digest


def test_a_docker_image_without_index_keeps_its_digest_and_its_licence_is_known(
    maker, request_for, run_mirror, read_back
):
    digest = maker.image(tag="v1", docker=True, licence="MIT")["digest"]
    mirrored = run_mirror(request_for())
    record = mirrored.record
    assert (record.digest, record.licence, record.platforms) == (digest, "MIT", {"linux/amd64": digest})
    assert sha256(read_back(record, "v1")) == digest
    assert mirrored.moved_bytes == record.size_bytes == sum(map(len, maker.blobs.values()))


def test_indexes_within_an_index_arrive_whole(maker, request_for, run_mirror, read_back):
    inner = maker.index("amd64", "arm64", tag="inner")
    digest = maker.manifest({"schemaVersion": 2, "mediaType": inner["mediaType"], "manifests": [inner]}, "v1")
    record = run_mirror(request_for()).record
    assert record.digest == digest["digest"]
    assert sorted(record.platforms) == ["linux/amd64", "linux/arm64"]
    assert sha256(read_back(record, inner["digest"])) == inner["digest"]


def test_a_chosen_platform_is_pushed_alone_by_its_own_digest_and_the_index_is_recorded(
    maker, request_for, run_mirror, read_back, target
):
    digest = maker.index("amd64", "arm64", tag="v1", attested=True)["digest"]
    record = run_mirror(request_for(platforms=["linux/arm64"])).record
    [(name, chosen)] = record.platforms.items()
    assert (record.digest, record.whole, name) == (digest, False, "linux/arm64")
    assert record.reference == f"{record.at}@{chosen}"
    assert sha256(read_back(record, chosen)) == chosen == sha256(read_back(record, "v1-linux-arm64"))
    attestations = [each for each in record.manifests if each not in {chosen, digest}]
    assert len(attestations) == 1 and chosen.encode() in maker.blobs.values()
    assert digest not in record.manifests


def test_another_platform_chosen_later_joins_the_first(maker, request_for, run_mirror, read_back):
    maker.index("amd64", "arm64", tag="v1")
    first = run_mirror(request_for(platforms=["linux/arm64"])).record
    both = run_mirror(request_for(platforms=["linux/amd64"])).record
    assert sorted(both.platforms) == ["linux/amd64", "linux/arm64"]
    assert both.created_at == first.created_at
    whole = run_mirror(request_for()).record
    assert whole.whole and sha256(read_back(whole, whole.digest)) == whole.digest


def test_an_unchanged_image_moves_nothing_the_second_time(maker, request_for, run_mirror, source):
    maker.index("amd64", "arm64", tag="v1")
    first = run_mirror(request_for())
    read = source.requests("GET", "/blobs/")
    again = run_mirror(request_for())
    assert (again.moved_bytes, again.moved_blobs) == (0, 0)
    assert source.requests("GET", "/blobs/") == read
    assert again.record.created_at == first.record.created_at
    assert again.record.digest == first.record.digest


def test_what_another_repository_of_the_target_has_is_mounted_not_moved(
    maker, request_for, run_mirror, source, target
):
    layer = maker.draw.randbytes(300_000)
    maker.image(tag="v1", layers=(layer,))
    run_mirror(request_for())
    maker.path = "team/other"
    maker.image(tag="v1", layers=(layer, b"more"), licence="MIT")
    other = run_mirror(request_for(engine="other", image=f"{source.host}/team/other"))
    assert other.moved_bytes == other.record.size_bytes - len(layer)
    assert target.requests("POST", f"mount={sha256(layer).replace(':', '%3A')}") == 1


@pytest.mark.parametrize("platforms", [[], ["linux/amd64"]], ids=["all", "chosen"])
def test_signatures_and_attestations_of_index_and_platforms_arrive_under_their_tags(
    maker, request_for, run_mirror, read_back, platforms
):
    digest = maker.index("amd64", "arm64", tag="v1")["digest"]
    image = json.loads(maker.manifests[digest])["manifests"][0]["digest"]
    signed = {
        (subject, kind): maker.sign(subject, kind) for subject in (digest, image) for kind in ("sig", "att")
    }
    record = run_mirror(request_for(platforms=platforms)).record
    for (subject, kind), pushed in signed.items():
        tag = f"{subject.replace(':', '-')}.{kind}"
        assert tag in record.tags
        assert sha256(read_back(record, tag)) == pushed["digest"]


def test_referrers_arrive_under_the_fallback_tag_where_neither_registry_lists_them(
    maker, request_for, run_mirror, read_back, raw
):
    subject = maker.image(tag="v1")
    sbom = maker.artifact(b"an SBOM", subject=subject, artifactType="application/spdx+json")
    entry = {**sbom, "artifactType": "application/spdx+json"}
    tag = subject["digest"].replace(":", "-")
    listed = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }
    fallback = maker.manifest(listed, tag)
    record = run_mirror(request_for()).record
    assert sha256(read_back(record, sbom["digest"])) == sbom["digest"]
    assert sha256(raw(f"{record.at}:{tag}")) == fallback["digest"]

    # A second one joins the list.
    signature = maker.artifact(b"a signature", subject=subject, artifactType="application/example.sig")
    maker.manifest({**listed, "manifests": [entry, signature]}, tag)
    record = run_mirror(request_for()).record
    found = json.loads(raw(f"{record.at}:{tag}"))["manifests"]
    assert [each["digest"] for each in found] == [sbom["digest"], signature["digest"]]


def test_a_tag_is_resolved_once_and_a_move_is_told(maker, request_for, run_mirror, registries):
    before = maker.image(tag="v1")["digest"]
    record = run_mirror(request_for()).record
    assert moved(request_for(), record, registries) is None
    now = maker.image(tag="v1")["digest"]
    found = moved(request_for(), record, registries)
    assert found is not None and (found.mirrored, found.now) == (before, now)
    assert moved(request_for(digest=before), record, registries) is None
    assert resolve(request_for(digest=before), registries) == before
    pinned = run_mirror(request_for(tag=None, digest=before)).record
    assert pinned.digest == before and pinned.tag == "v1"


def test_the_target_may_need_credentials_and_tls_too(
    maker, source, store, tmp_path, request_for, looks, variables, settings, skopeo
):
    """The same secured registry, under a path of its own."""
    there = {
        "SLIPWAY_REGISTRY": f"{source.host}/mirror",
        "SLIPWAY_REGISTRY_CA": str(source.ca_file),
        "SLIPWAY_REGISTRY_USERNAME": USER,
        "SLIPWAY_REGISTRY_PASSWORD": PASSWORD,
        "SOURCE_LOGIN": f"{USER}:{PASSWORD}",
    }
    digest = maker.image(tag="v1")["digest"]
    registries = Registries(Environment(there, tmp_path), settings, QUICK)
    record = mirror(request_for(), store, registries, looks.append).record
    shown = skopeo(
        "inspect", "--raw", "--tls-verify=false", f"--creds={USER}:{PASSWORD}", f"docker://{record.reference}"
    )
    assert sha256(shown.encode()) == digest
    assert looks[-1].done_bytes == looks[-1].total_bytes == record.size_bytes


def test_mirrored_images_and_their_records_name_source_and_target(
    maker, request_for, run_mirror, source, target
):
    maker.image(tag="v1")
    record = run_mirror(request_for()).record
    assert record.source == f"{source.host}/team/engine"
    assert str(record.at) == f"{target.host}/mirror/{source.host.replace(':', '_')}/team/engine"
    assert record.key == f"images/engine/cpu/{record.digest.removeprefix('sha256:')}.json"


def test_a_list_that_names_a_removed_referrer_is_no_obstacle(maker, request_for, run_mirror):
    subject = maker.image(tag="v1")
    sbom = maker.artifact(b"an SBOM", subject=subject)
    gone = maker.artifact(b"another", subject=subject)
    listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [sbom, gone]}
    maker.manifest(listed, subject["digest"].replace(":", "-"))
    maker.delete(gone["digest"])
    record = run_mirror(request_for()).record
    assert sbom["digest"] in record.manifests and gone["digest"] not in record.manifests
