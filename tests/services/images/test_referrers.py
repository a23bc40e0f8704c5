"""OCI referrers between a registry that lists them and one that does not, in both directions."""

import json

import pytest

from slipway.artifacts.images.mirror import mirror
from slipway.artifacts.images.registries import Registries
from slipway.environment import Environment
from testbed.registries.made_images import ImageMaker, sha256

from .conftest import PATH, QUICK

SBOM = "application/spdx+json"


@pytest.fixture
def made(listing):
    """An image with an SBOM, which has a signature: in the registry that lists referrers."""
    maker = ImageMaker(listing.base_url, PATH)
    image = maker.image(tag="v1")
    sbom = maker.artifact(b"an SBOM", subject=image, artifactType=SBOM, annotations={"made.by": "test"})
    signature = maker.artifact(b"its signature", subject=sbom, artifactType="application/example.sig")
    return image, sbom, signature


def test_they_arrive_under_the_fallback_tag_where_the_target_has_no_list(
    made, listing, request_for, run_mirror, raw
):
    image, sbom, signature = made
    record = run_mirror(request_for(image=f"{listing.host}/{PATH}")).record
    for subject, referrer in ((image, sbom), (sbom, signature)):
        [listed] = json.loads(raw(f"{record.at}:{subject['digest'].replace(':', '-')}"))["manifests"]
        assert (listed["digest"], listed["size"]) == (referrer["digest"], referrer["size"])
        assert sha256(raw(f"{record.at}@{referrer['digest']}")) == referrer["digest"]
    [listed] = json.loads(raw(f"{record.at}:{image['digest'].replace(':', '-')}"))["manifests"]
    assert (listed["artifactType"], listed["annotations"]) == (SBOM, {"made.by": "test"})

    # The list at the target stays as it is when nothing changed.
    before = raw(f"{record.at}:{image['digest'].replace(':', '-')}")
    run_mirror(request_for(image=f"{listing.host}/{PATH}"))
    assert raw(f"{record.at}:{image['digest'].replace(':', '-')}") == before


def test_they_are_listed_by_a_target_that_lists(
    made, listing, request_for, store, variables, settings, tmp_path
):
    """The listing registry as source and target, under another path."""
    image, sbom, _ = made
    variables = {**variables, "SLIPWAY_REGISTRY": f"{listing.host}/mirror"}
    registries = Registries(Environment(variables, tmp_path), settings, QUICK)
    record = mirror(request_for(image=f"{listing.host}/{PATH}"), store, registries, lambda look: None).record
    listed = registries.target.referrers(record.at, image["digest"])
    assert listed is not None and [each["digest"] for each in listed] == [sbom["digest"]]
    assert image["digest"].replace(":", "-") not in registries.target.tags(record.at)
