"""What manifests say, which are refused, and the list of referrers that stands in for one."""

import json
from typing import Any

import pytest

from slipway.artifacts.errors import SourceError
from slipway.artifacts.images.attachments import fallback_index
from slipway.artifacts.images.manifests import INDEXES, MANIFESTS, Manifest, fits, read_manifest

DIGEST = f"sha256:{'a' * 64}"
BLOB = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{'b' * 64}", "size": 3}
IMAGE = {"schemaVersion": 2, "config": BLOB, "layers": [BLOB]}


def read(document: Any, media_type: str = MANIFESTS[0]) -> Manifest:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_manifest(DIGEST, media_type, body, "registry.example/engine")


def test_the_media_type_within_goes_before_the_header() -> None:
    assert read({**IMAGE, "mediaType": MANIFESTS[1]}, MANIFESTS[0]).media_type == MANIFESTS[1]
    assert read(IMAGE, MANIFESTS[0]).media_type == MANIFESTS[0]


@pytest.mark.parametrize(
    ("document", "media_type", "why"),
    [
        (b"<html>", MANIFESTS[0], "not a manifest"),
        ([], MANIFESTS[0], "not a manifest"),
        ({"schemaVersion": 2}, MANIFESTS[0], "not a manifest"),
        (IMAGE, "text/html", "text/html is not an image's"),
        ({"schemaVersion": 1}, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        ({**IMAGE, "manifests": []}, MANIFESTS[0], "both an image and an index"),
        ({**IMAGE, "manifests": []}, INDEXES[0], "both an image and an index"),
        (
            {**IMAGE, "layers": [{**BLOB, "urls": ["https://example.com/l"]}]},
            MANIFESTS[0],
            "outside the registry",
        ),
        ({**IMAGE, "layers": [{**BLOB, "digest": "md5:abc"}]}, MANIFESTS[0], "unknown algorithm 'md5'"),
        ({**IMAGE, "layers": [{**BLOB, "size": -1}]}, MANIFESTS[0], "not a manifest"),
    ],
)
def test_what_is_no_image_is_refused(document: Any, media_type: str, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        read(document, media_type)


@pytest.mark.parametrize(
    ("platform", "wanted", "fit"),
    [
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64/v8", "linux/arm64/v8", True),
        ("linux/arm64", "linux/arm64/v8", False),
        ("linux/arm64", "linux/arm", False),
        (None, "linux/amd64", False),
    ],
)
def test_a_platform_without_a_variant_is_any_variant(platform: str | None, wanted: str, fit: bool) -> None:
    assert fits(platform, wanted) is fit


class TestFallbackIndex:
    referrer = read({**IMAGE, "artifactType": "application/example"})

    def test_the_sources_own_is_kept_as_it_is_where_there_is_none(self) -> None:
        assert fallback_index(None, b"theirs", [self.referrer]) == b"theirs"

    def test_one_is_made_where_the_source_lists_by_its_api(self) -> None:
        made = json.loads(fallback_index(None, None, [self.referrer]) or b"")
        assert made["manifests"] == [self.referrer.as_referrer()]

    def test_what_others_put_there_stays(self) -> None:
        other = {"digest": f"sha256:{'c' * 64}", "size": 1, "mediaType": MANIFESTS[0]}
        existing = json.dumps({"manifests": [other]}).encode()
        made = fallback_index(existing, b"theirs", [self.referrer])
        assert [each["digest"] for each in json.loads(made or b"")["manifests"]] == [other["digest"], DIGEST]
        assert fallback_index(made, b"theirs", [self.referrer]) is None
