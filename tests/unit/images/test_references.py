"""Names of images: hosts, Docker's short names, and where they lie in the local registry."""

import pytest

from slipway.artifacts.errors import SourceError
from slipway.artifacts.images.access import of_target, registry_name
from slipway.artifacts.images.errors import TargetError
from slipway.artifacts.images.references import (
    Repository,
    cosign_tags,
    kept_tag,
    new_hash,
    platform_tag,
    referrers_tag,
)
from slipway.catalog.documents import EngineImage, Registry, Settings
from slipway.catalog.image_names import split_image
from slipway.environment import Environment, RegistryLocation

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("image", "host", "path"),
    [
        ("ubuntu", "docker.io", "library/ubuntu"),
        ("team/engine", "docker.io", "team/engine"),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu"),
        ("localhost/engine", "localhost", "engine"),
        ("registry.example/engine", "registry.example", "engine"),
        ("Registry.example:5000/a/b/c", "registry.example:5000", "a/b/c"),
        ("10.0.0.5:5000/a__b/c-d.e", "10.0.0.5:5000", "a__b/c-d.e"),
    ],
)
def test_an_image_is_a_host_and_a_path(image: str, host: str, path: str) -> None:
    assert split_image(image) == (host, path)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("registry.example/engine:v1", "holds a tag or digest"),
        (f"registry.example/engine@sha256:{HEX}", "holds a tag or digest"),
        ("https://registry.example/engine", "a URL"),
        ("registry.example/Engine", "not a repository's path"),
        ("registry.example/../engine", "not a repository's path"),
        ("registry.example//engine", "not a repository's path"),
        ("-registry.example/engine", "not a registry's host"),
    ],
)
def test_what_is_no_image_is_refused_with_the_remedy(image: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        EngineImage(image=image, tag="v1")


def test_equal_paths_of_two_registries_do_not_meet() -> None:
    target = RegistryLocation("mirror.example", prefix="all")
    names = {
        str(Repository.of_image(image).mirrored_to(target))
        for image in ("a.example/x", "b.example/x", "a.example:5000/x", "x", "a.example/a.example/x")
    }
    assert len(names) == 5
    assert "mirror.example/all/a.example_5000/x" in names


def test_a_name_that_no_registry_takes_is_refused() -> None:
    with pytest.raises(SourceError, match="longer than 255 characters"):
        Repository("registry.example", "x" * 250).mirrored_to(RegistryLocation("mirror.example"))


def test_tags_of_digests_are_tags() -> None:
    digests = (f"sha256:{HEX}", f"sha512:{HEX}{HEX}")
    for tag in (
        tag for digest in digests for tag in (*cosign_tags(digest), kept_tag(digest), referrers_tag(digest))
    ):
        assert len(tag) <= 128 and ":" not in tag
    assert cosign_tags(digests[0]) == (f"sha256-{HEX}.sig", f"sha256-{HEX}.att", f"sha256-{HEX}.sbom")
    assert referrers_tag(digests[0]) == f"sha256-{HEX}"
    assert platform_tag("v1", "linux/arm/v7") == "v1-linux-arm-v7"


@pytest.mark.parametrize("digest", ["md5:abc", "sha256", "sha256:ABC", f"sha256:{HEX}0", f"sha384:{HEX}"])
def test_a_digest_that_cannot_be_verified_is_refused(digest: str) -> None:
    with pytest.raises(SourceError, match=r"[Pp]ush the image again"):
        new_hash(digest, "registry.example/engine")


def test_the_longest_fitting_registry_counts() -> None:
    settings = Settings(
        name="x", registries={name: Registry() for name in ("a.example", "a.example/team", "a.example/te")}
    )
    found = [registry_name(Repository("a.example", path), settings) for path in ("team/x", "teams/x", "te/x")]
    assert found == ["a.example/team", "a.example", "a.example/te"]
    assert registry_name(Repository("b.example", "team/x"), settings) is None


def test_the_local_registry_is_a_host_and_maybe_a_path(tmp_path) -> None:
    found = Environment({"SLIPWAY_REGISTRY": "mirror.example:5000/a/b/"}, tmp_path).registry
    assert (found.host, found.prefix, found.plain_http) == ("mirror.example:5000", "a/b", False)
    secret = Environment({"SLIPWAY_REGISTRY": "x.example", "SLIPWAY_REGISTRY_PASSWORD": "hush"}, tmp_path)
    assert "hush" not in repr(secret.registry)


def test_a_local_registry_with_a_scheme_is_refused_by_its_variable(tmp_path) -> None:
    location = Environment({"SLIPWAY_REGISTRY": "https://mirror.example/a"}, tmp_path).registry
    with pytest.raises(TargetError, match=r"SLIPWAY_REGISTRY = https://mirror.example/a: not a registry"):
        of_target(location)
