"""Registries that are not distribution: what they answer differently holds up no image and is not printed."""

import hashlib
import json
from collections.abc import Callable

import pytest

from slipway.artifacts.errors import ArtifactError, CorruptFileError, SourceError
from slipway.artifacts.images.digest_trial import DigestTrial
from slipway.artifacts.images.errors import DigestRefusedError, TargetError
from slipway.artifacts.images.mirror import Mirrored, mirror
from slipway.artifacts.images.references import Repository
from slipway.artifacts.images.registries import Registries
from slipway.artifacts.transfer.retry import TransientError
from slipway.catalog.documents import Registry, Settings
from slipway.environment import Environment
from testbed.registries.made_images import ImageMaker, sha256
from testbed.registries.registry_server import DistributionRegistry
from testbed.registries.twisted_proxy import Answer, Asked, Twist, twisted

from .conftest import PATH, QUICK

ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
REPOSITORY = Repository(host="registry.example", path="mirror/x")
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def plain(tmp_path):
    """A source in plain http, to put a proxy before."""
    with DistributionRegistry(tmp_path / "plain") as registry:
        yield registry


@pytest.fixture
def maker(plain) -> ImageMaker:
    return ImageMaker(plain.base_url, PATH)


@pytest.fixture
def mirror_through(plain, request_for, store, variables, tmp_path) -> Callable[[Twist], Mirrored]:
    """Mirrors `team/engine:v1` through a twist."""

    def run(twist: Twist) -> Mirrored:
        with twisted(plain.base_url, twist) as host:
            settings = Settings(name="default", registries={host: Registry(insecure_http=True)})
            registries = Registries(Environment(variables, tmp_path), settings, QUICK)
            return mirror(request_for(image=f"{host}/{PATH}"), store, registries, lambda look: None)

    return run


def manifest(body: bytes, media_type: str) -> Answer:
    headers = {"Content-Type": media_type, "Docker-Content-Digest": sha256(body)}
    return Answer(200, {**headers, "Content-Length": str(len(body))}, body)


def fallback_tag(digest: str) -> str:
    return f"/manifests/{digest.replace(':', '-')}"


@pytest.mark.parametrize("made", ["an image", "an index"])
def test_a_registry_that_takes_the_fallback_tag_for_the_digest_has_no_referrers(
    made, maker, mirror_through, read_back
):
    """GitLab's: of an index, the images in it are no referrers of it."""
    if made == "an index":
        maker.index("amd64", "arm64", tag="v1")
    else:
        maker.image(tag="v1")

    def twist(asked: Asked) -> Answer | None:
        for digest in maker.manifests:
            if asked.path.endswith(fallback_tag(digest)):
                return asked.pass_on(asked.path.replace(digest.replace(":", "-"), digest))
        return None

    mirrored = mirror_through(twist)
    assert mirrored.left_out == ()
    assert sha256(read_back(mirrored.record, "v1")) == mirrored.record.digest
    assert not any("-" in tag and tag.startswith("sha256") for tag in mirrored.record.tags), (
        "no list was made"
    )


@pytest.mark.parametrize(
    "body",
    [b"<html>sign in</html>", b"[]", b"{}", b'{"manifests": 7}', b"[" * 100_000],
    ids=["a page", "a list", "nothing", "a number", "nesting"],
)
def test_what_is_no_list_of_referrers_is_said_and_left(body, maker, mirror_through, read_back):
    image = maker.image(tag="v1")

    def twist(asked: Asked) -> Answer | None:
        return manifest(body, INDEX) if asked.path.endswith(fallback_tag(image["digest"])) else None

    mirrored = mirror_through(twist)
    (why,) = mirrored.left_out
    assert f"referrers of {image['digest']} are left out" in why and "not an index of referrers" in why
    assert sha256(read_back(mirrored.record, "v1")) == image["digest"]


@pytest.fixture
def referred(maker):
    """An image, a good referrer of it, and a list with a place for one more."""
    image = maker.image(tag="v1")
    good = maker.artifact(b"a good one", subject=image, artifactType="application/example.good")

    def twist_with(entry: dict[str, object], answer: Answer | None) -> Twist:
        listed = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry, good]}).encode()

        def twist(asked: Asked) -> Answer | None:
            if asked.path.endswith(fallback_tag(image["digest"])):
                return manifest(listed, INDEX)
            return answer if answer is not None and asked.path.endswith(str(entry["digest"])) else None

        return twist

    return image, good, twist_with


def test_a_referrer_of_another_kind_of_manifest_is_left_out_and_the_image_comes(
    referred, maker, mirror_through, read_back, raw
):
    image, good, twist_with = referred
    blob = maker.blob(b"an SBOM")
    body = json.dumps({"mediaType": ARTIFACT, "blobs": [blob], "subject": image}).encode()
    entry = {"mediaType": ARTIFACT, "digest": sha256(body), "size": len(body)}
    mirrored = mirror_through(twist_with(entry, manifest(body, ARTIFACT)))
    (why,) = mirrored.left_out
    assert why.startswith(f"referrer {sha256(body)} is left out") and ARTIFACT in why
    assert sha256(read_back(mirrored.record, "v1")) == image["digest"]
    listed = json.loads(raw(f"{mirrored.record.at}:{image['digest'].replace(':', '-')}"))["manifests"]
    assert [each["digest"] for each in listed] == [good["digest"]]
    assert sha256(body) not in mirrored.record.manifests


def test_one_whose_blob_is_missing_is_left_out(referred, maker, plain, mirror_through, read_back):
    image, good, twist_with = referred
    other = maker.artifact(b"its blob is gone", subject=image)
    plain.blob_file(sha256(b"its blob is gone")).unlink()
    mirrored = mirror_through(twist_with(other, None))
    (why,) = mirrored.left_out
    assert f"{other['digest']} is left out" in why and "missing at its source" in why
    assert sha256(read_back(mirrored.record, "v1")) == image["digest"]
    assert good["digest"] in mirrored.record.manifests and other["digest"] not in mirrored.record.manifests


def test_one_with_other_bytes_than_its_digest_is_left_out(referred, mirror_through, read_back):
    image, _, twist_with = referred
    entry = {"mediaType": IMAGE, "digest": sha256(b"what it should be"), "size": 17}
    mirrored = mirror_through(twist_with(entry, Answer(200, {"Content-Type": IMAGE}, b"{}")))
    assert [why.split(":")[0] for why in mirrored.left_out] == [
        f"referrer {entry['digest']} is left out".split(":")[0]
    ]
    assert sha256(read_back(mirrored.record, "v1")) == image["digest"]


def test_one_that_names_another_subject_is_no_referrer(referred, maker, mirror_through):
    _, good, twist_with = referred
    elsewhere = maker.artifact(b"of another", subject=good)
    mirrored = mirror_through(twist_with(elsewhere, None))
    assert elsewhere["digest"] not in mirrored.record.manifests
    assert good["digest"] in mirrored.record.manifests


def test_the_image_s_own_manifest_of_another_kind_is_still_refused(maker, mirror_through):
    image = maker.image(tag="v1")

    def twist(asked: Asked) -> Answer | None:
        body = maker.manifests[image["digest"]].replace(IMAGE.encode(), ARTIFACT.encode())
        return manifest(body, ARTIFACT) if asked.path.endswith(("/v1", sha256(body))) else None

    with pytest.raises(SourceError, match="is not an image's"):
        mirror_through(twist)


class TestRanges:
    """A blob whose first answer breaks off, at a registry that does with ranges what it wants."""

    SIZE = 9_000_000

    @pytest.fixture
    def layer(self, maker) -> bytes:
        layer: bytes = maker.draw.randbytes(self.SIZE)
        maker.image(tag="v1", layers=(layer,))
        return layer

    def broken_once(self, layer: bytes, second: Callable[[Asked], Answer]) -> Twist:
        seen: list[str | None] = []

        def twist(asked: Asked) -> Answer | None:
            if asked.method != "GET" or sha256(layer) not in asked.path:
                return None
            seen.append(asked.headers.get("Range"))
            if len(seen) == 1:
                return Answer(200, {}, layer, cut_to=5_000_000)
            return second(asked)

        return twist

    def test_one_that_ignores_them_is_read_from_the_start(self, layer, mirror_through, target):
        mirrored = mirror_through(self.broken_once(layer, lambda asked: Answer(200, {}, layer)))
        assert target.blob_file(sha256(layer)).read_bytes() == layer
        assert mirrored.moved_bytes == mirrored.record.size_bytes

    def test_one_that_honours_them_goes_on(self, layer, mirror_through, target):
        mirror_through(self.broken_once(layer, lambda asked: asked.pass_on()))
        assert target.blob_file(sha256(layer)).read_bytes() == layer

    def test_one_that_sends_another_range_is_asked_anew(self, layer, mirror_through, target):
        answers = [Answer(206, {"Content-Range": f"bytes 0-{self.SIZE - 1}/{self.SIZE}"}, layer)]
        mirror_through(self.broken_once(layer, lambda asked: answers.pop() if answers else asked.pass_on()))
        assert target.blob_file(sha256(layer)).read_bytes() == layer

    @pytest.mark.parametrize("status", [200, 206, 418, 500])
    def test_no_byte_of_a_layer_is_ever_in_a_message(self, status, layer, mirror_through):
        wrong = Answer(status, {}, b"\x1b[31m" + layer[:2_000_000])
        with pytest.raises(ArtifactError) as caught:
            mirror_through(self.broken_once(layer, lambda asked: wrong))
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 700
        assert hashlib.sha256(layer).hexdigest() in str(caught.value)


class TestWrongBytes:
    """A layer of several pieces: its digest is the registry's to check, where it was seen to."""

    @pytest.fixture
    def layer(self, maker) -> bytes:
        layer: bytes = maker.draw.randbytes(3_000_000)
        maker.image(tag="v1", layers=(layer,))
        return layer

    def changed(self, layer: bytes, times: int) -> Twist:
        left = [layer[:-1] + bytes([layer[-1] ^ 1])] * times

        def twist(asked: Asked) -> Answer | None:
            is_layer = asked.method == "GET" and sha256(layer) in asked.path
            return Answer(200, {}, left.pop()) if is_layer and left else None

        return twist

    def test_are_never_committed_and_the_source_is_named(self, layer, mirror_through, target):
        with pytest.raises(CorruptFileError, match=r"blob sha256:.*its bytes at .* have the digest"):
            mirror_through(self.changed(layer, 9))
        assert not target.blob_file(sha256(layer)).exists()

    def test_that_came_once_are_read_again(self, layer, mirror_through, target):
        mirror_through(self.changed(layer, 1))
        assert target.blob_file(sha256(layer)).read_bytes() == layer

    def test_are_noticed_here_where_the_registry_does_not_check(
        self, layer, mirror_through, target, monkeypatch
    ):
        monkeypatch.setattr("slipway.artifacts.images.digest_trial.DigestTrial.checks", lambda *_: False)
        with pytest.raises(CorruptFileError, match="have the digest"):
            mirror_through(self.changed(layer, 9))
        assert not target.blob_file(sha256(layer)).exists()


def test_whether_a_registry_checks_digests_is_tried_and_leaves_nothing(registries, target):
    own = registries.target
    mirrored = Repository(host=target.host, path="mirror/team/engine")
    assert DigestTrial(own).checks(mirrored)
    assert own.tags(mirrored) == []


@pytest.mark.parametrize(
    ("answer", "checks"),
    [
        (DigestRefusedError("other bytes"), True),
        (None, False),
        (TargetError("full"), False),
        (TransientError("away"), False),
    ],
)
def test_only_a_refusal_for_the_digest_is_a_check(answer, checks):
    class FakeRegistry:
        """Answers the trial's PUT in one way."""

        cancelled = 0

        def start_upload(self, *_: object) -> str:
            return "http://registry.example/upload"

        def put_blob(self, *_: object) -> None:
            if answer is not None:
                raise answer

        def cancel_upload(self, *_: object) -> None:
            self.cancelled += 1

    registry = FakeRegistry()
    trial = DigestTrial(registry)
    assert (trial.checks(REPOSITORY), trial.checks(REPOSITORY), registry.cancelled) == (checks, checks, 1)
