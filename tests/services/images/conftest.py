"""Two real registries: a secured one that images come from, and a plain one that they are mirrored to."""

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.artifacts.images.mirror import ImageRequest, Mirrored, mirror
from slipway.artifacts.images.record import ImageRecord, ImageRecords
from slipway.artifacts.images.registries import Registries
from slipway.artifacts.transfer.progress import Progress
from slipway.artifacts.transfer.retry import RetryPolicy
from slipway.catalog.documents import Registry, Settings
from slipway.catalog.fields import SecretRef
from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from testbed import programs
from testbed.registries.made_images import ImageMaker
from testbed.registries.registry_server import PASSWORD, USER, DistributionRegistry, ListingRegistry

QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.05, patience_s=0)
PATH = "team/engine"


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DistributionRegistry]:
    """Where images come from: TLS by a CA that nobody knows, and basic auth."""
    with DistributionRegistry(tmp_path / "source", secured=True) as registry:
        yield registry


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DistributionRegistry]:
    """The local registry, in plain http on loopback."""
    with DistributionRegistry(tmp_path / "target") as registry:
        yield registry


@pytest.fixture
def listing(tmp_path: Path) -> Iterator[ListingRegistry]:
    """Another registry: plain http, in memory, with the list of referrers that the secured one lacks."""
    with ListingRegistry(tmp_path / "listing.log") as registry:
        yield registry


@pytest.fixture
def maker(source: DistributionRegistry) -> ImageMaker:
    """Pushes to the source's repository `team/engine`."""
    return ImageMaker(source.base_url, PATH, ssl.create_default_context(cafile=str(source.ca_file)))


@pytest.fixture
def variables(target: DistributionRegistry) -> dict[str, str]:
    """The environment: where the target is, and the source's credentials."""
    return {
        "SLIPWAY_REGISTRY": f"{target.host}/mirror",
        "SLIPWAY_REGISTRY_PLAIN_HTTP": "1",
        "SOURCE_LOGIN": f"{USER}:{PASSWORD}",
    }


@pytest.fixture
def settings(source: DistributionRegistry, request: pytest.FixtureRequest) -> Settings:
    """What the catalog says of the sources."""
    registry = Registry(pull_secret=SecretRef(env="SOURCE_LOGIN"), ca_file=str(source.ca_file))
    registries = {source.host: registry}
    if "listing" in request.fixturenames:
        registries[request.getfixturevalue("listing").host] = Registry(insecure_http=True)
    return Settings(name="default", registries=registries)


@pytest.fixture
def registries(tmp_path: Path, variables: dict[str, str], settings: Settings) -> Registries:
    return Registries(Environment(variables, tmp_path), settings, QUICK)


@pytest.fixture
def request_for(source: DistributionRegistry) -> Callable[..., ImageRequest]:
    """A request for the engine's image; `tag="v1"` unless told otherwise."""

    def make(**more: object) -> ImageRequest:
        fields = {"engine": "engine", "accelerator": "cpu", "image": f"{source.host}/{PATH}", "tag": "v1"}
        return ImageRequest.model_validate({**fields, **more})

    return make


@pytest.fixture
def looks() -> list[Progress]:
    return []


@pytest.fixture
def run_mirror(
    store: ObjectStore, registries: Registries, looks: list[Progress]
) -> Callable[[ImageRequest], Mirrored]:
    return lambda request: mirror(request, store, registries, looks.append)


@pytest.fixture
def records(store: ObjectStore) -> ImageRecords:
    return ImageRecords(store)


@pytest.fixture
def skopeo(tmp_path: Path) -> Callable[..., str]:
    """skopeo, which knows nothing of Slipway; returns what it prints."""
    program = programs.skopeo()

    def run(command: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(program.path), "--insecure-policy", command, *arguments],
            env=program.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def raw(skopeo: Callable[..., str]) -> Callable[[str], bytes]:
    """A manifest of the target as `skopeo inspect` reads it."""
    return lambda reference: skopeo(
        "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"
    ).encode()


@pytest.fixture
def read_back(tmp_path: Path, skopeo: Callable[..., str]) -> Callable[[ImageRecord, str], bytes]:
    """Copy a mirrored reference out with skopeo, every platform of it, and return its manifest."""

    def read(record: ImageRecord, reference: str) -> bytes:
        out = tmp_path / "copied"
        shutil.rmtree(out, ignore_errors=True)
        at = f"docker://{record.at}{'@' if ':' in reference else ':'}{reference}"
        insecure = "--src-tls-verify=false"
        skopeo("copy", "--all", "--preserve-digests", insecure, at, f"dir:{out}")
        return (out / "manifest.json").read_bytes()

    return read
