"""`ngc://`: model versions through NGC's REST API, with a key or as a guest."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from slipway.artifacts.errors import AccessError, CorruptFileError, SourceError, SourceUnavailableError
from slipway.artifacts.source import commit_of
from slipway.artifacts.sources.ngc import NgcSnapshot, NgcSource
from slipway.artifacts.transfer.parts import MIB
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.catalog.fields import SecretRef
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import Fault
from testbed.standin_ngc import NgcModel, NgcVersion, StandinNgc

KEY = "nvapi-of-the-org"
LOCATION = "ngc://nvidia/nemo/tiny@1.0"


@pytest.fixture
def model(content) -> NgcModel:
    version = NgcVersion.of_directory(content.directory)
    return NgcModel("nvidia", "tiny", "nemo", licence="nvidia-open", versions={"1.0": version}, latest="1.0")


@pytest.fixture
def ngc(model: NgcModel) -> Iterator[StandinNgc]:
    with StandinNgc([model], keys=[KEY], page_size=3) as ngc:
        yield ngc


@pytest.fixture
def source_with(ngc: StandinNgc, settings) -> Callable[..., NgcSource]:
    """Slipway's client with these variables."""
    return lambda **variables: NgcSource(variables, api_url=ngc.url, auth_url=ngc.url, retry=settings.retry)


@pytest.fixture
def ngc_source(source_with: Callable[..., NgcSource]) -> NgcSource:
    return source_with(NGC_API_KEY=KEY)


@pytest.fixture
def take(store, settings, ngc_source) -> Callable[..., Manifest]:
    """Pull a location under the name `tiny`."""

    def pull(source: str = LOCATION, by: NgcSource = ngc_source, **changes: object) -> Manifest:
        request = WeightsRequest(name="tiny", source=source).model_copy(update=changes)
        return pull_weights(request, store, by, lambda look: None, settings)

    return pull


def resolve(source: NgcSource, location: str = LOCATION, **token: str) -> NgcSnapshot:
    return source.resolve(location, None, SecretRef(**token) if token else None)


def test_a_version_is_published_with_the_digests_that_ngc_lists(take, content, store):
    manifest = take()
    digests = {path: hashlib.sha256(body).hexdigest() for path, body in content.files.items()}
    assert {each.path: each.sha256 for each in manifest.files} == digests
    assert all(store.get(manifest.prefix + path) == body for path, body in content.files.items())
    rows = [(path, len(body), digests[path]) for path, body in content.files.items()]
    assert manifest.commit == commit_of(rows)
    assert (manifest.source, manifest.licence) == (f"{LOCATION}@{manifest.commit}", "nvidia-open")


def test_without_a_version_the_latest_is_taken(ngc_source, model):
    newer = NgcVersion({"config.json": model.versions["1.0"].files["config.json"]})
    model.versions["2.0"], model.latest = newer, "2.0"
    snapshot = resolve(ngc_source, "ngc://nvidia/nemo/tiny")
    assert [each.path for each in snapshot.files()] == ["config.json"]


def test_a_model_of_an_org_without_a_team_is_found(source_with, ngc, model, content):
    model.team = None
    with StandinNgc([model], keys=[KEY]) as ngc:
        source = NgcSource({"NGC_API_KEY": KEY}, api_url=ngc.url, auth_url=ngc.url)
        assert {each.path for each in resolve(source, "ngc://nvidia/tiny@1.0").files()} == set(content.files)


@pytest.mark.parametrize("team", ["nemo", None])
def test_a_public_model_is_open_to_guests(settings, content, model, team, store):
    model.team, model.public = team, True
    location = f"ngc://nvidia/{team}/tiny@1.0" if team else "ngc://nvidia/tiny@1.0"
    with StandinNgc([model]) as ngc:
        source = NgcSource({}, api_url=ngc.url, auth_url=ngc.url, retry=settings.retry)
        request = WeightsRequest(name="tiny", source=location)
        manifest = pull_weights(request, store, source, lambda look: None, settings)
    assert {each.path for each in manifest.files} == set(content.files)


def test_a_pinned_version_that_was_replaced_is_refused_with_both_listings(take, ngc_source, model, store):
    commit = resolve(ngc_source).commit
    before = model.versions["1.0"]
    model.versions["1.0"] = NgcVersion({"config.json": before.files["config.json"]})
    moved = resolve(ngc_source).commit
    with pytest.raises(SourceError) as refused:
        take(f"{LOCATION}@{commit}")
    assert f"{LOCATION}@{commit}: the source has moved on: it is {moved} now" in str(refused.value)
    assert list(store.list("")) == []
    model.versions["1.0"] = before
    assert take(f"{LOCATION}@{commit}").commit == commit


class TestKeys:
    def test_without_a_key_says_which_variable_to_set(self, source_with):
        with pytest.raises(SourceError, match=r"no such model.*No key was sent.*NGC_API_KEY"):
            resolve(source_with())

    def test_a_wrong_key_is_named_by_its_variable_and_never_shown(self, source_with):
        with pytest.raises(AccessError, match=r"\(401\).*key in ORG_KEY was not accepted") as refused:
            resolve(source_with(ORG_KEY="nvapi-mistyped"), env="ORG_KEY")
        assert "nvapi-mistyped" not in str(refused.value)
        assert "nvapi-mistyped" not in repr(refused.value.__cause__)

    def test_a_named_variable_that_is_not_set_is_named(self, source_with):
        with pytest.raises(AccessError, match="ORG_KEY, which is not set"):
            resolve(source_with(NGC_API_KEY=KEY), env="ORG_KEY")

    def test_a_token_that_no_longer_counts_is_replaced_once(self, ngc, ngc_source, content):
        snapshot = resolve(ngc_source)
        assert ngc.given_tokens == 1
        ngc.tokens.clear()
        (file,) = (each for each in snapshot.files() if each.path == content.text)
        buffer = memoryview(bytearray(file.size_bytes))
        with pytest.raises(Exception, match="no longer takes its token"):
            snapshot.read_into(file, 0, buffer, lambda count: None)
        snapshot.read_into(file, 0, buffer, lambda count: None)
        assert bytes(buffer) == content.files[content.text]
        assert ngc.given_tokens == 2

    def test_a_token_that_says_no_end_is_not_asked_for_with_each_request(self, ngc, ngc_source):
        ngc.token_life_s = 0.0
        resolve(ngc_source)
        assert ngc.given_tokens == 1


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("ngc://nvidia/nemo/absent@1.0", "no such model or version"),
        ("ngc://nvidia/nemo/tiny@9.9", "no such model or version"),
        ("ngc://nobody/tiny@1.0", "no such model or version"),
    ],
)
def test_what_does_not_exist_is_named(take, store, location, said):
    with pytest.raises(SourceError, match=said) as refused:
        take(location)
    assert location in str(refused.value)
    assert list(store.list("")) == []


def test_a_version_that_is_still_uploaded_is_refused(take, model):
    model.versions["1.0"].status = "UPLOAD_PENDING"
    with pytest.raises(SourceError, match="UPLOAD_PENDING, not UPLOAD_COMPLETE"):
        take()
    model.versions["1.0"].status = "UPLOAD_COMPLETE"
    assert take().files


def test_a_digest_of_an_unknown_algorithm_is_named_with_its_file(take, model, store):
    model.versions["1.0"].digest_field = "blake3_base64"
    with pytest.raises(SourceError, match=r"file config\.json: .* unknown algorithm blake3"):
        take()
    assert list(store.list("")) == []
    model.versions["1.0"].digest_field = None
    assert take().files


@pytest.mark.parametrize("path", ["../escape.bin", "/absolute.bin", "a\\b"])
def test_a_path_that_could_leave_its_folder_is_refused(take, model, store, path):
    version = model.versions["1.0"]
    model.versions["1.0"] = NgcVersion({**version.files, path: version.files["config.json"]})
    with pytest.raises(SourceError, match="exclude"):
        take()
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault("corrupted", after_bytes=7 * MIB), CorruptFileError, "Nothing was published"),
        (Fault("truncated", after_bytes=1000), SourceUnavailableError, "got 1000"),
        (Fault("vanished"), SourceError, "is gone"),
        (Fault("wrong-length"), CorruptFileError, "Nothing was published"),
        (Fault("unavailable", "api"), SourceUnavailableError, "503"),
        (Fault("unavailable", "resolve"), SourceUnavailableError, "503"),
    ],
    ids=lambda value: f"{value.kind}-at-{value.door}" if isinstance(value, Fault) else "",
)
def test_a_fault_that_stays_publishes_nothing_and_completes_when_it_is_gone(
    take, ngc, store, content, fault, kind, said
):
    ngc.faults.switch_on(fault if fault.kind != "corrupted" else replace(fault, path=content.large))
    with pytest.raises(kind, match=said) as failed:
        take()
    assert LOCATION in str(failed.value)
    assert "signature" not in str(failed.value)
    assert not [item.key for item in store.list("weights/") if item.key.endswith("manifest.json")]
    ngc.faults.clear()
    assert verify(take(), store, lambda look: None) == []


def test_faults_that_pass_are_outlived(take, ngc):
    for fault in (
        Fault("dropped", after_bytes=MIB, times=2),
        Fault("expired", times=2),
        Fault("rate-limited", "resolve", seconds=0.02, times=1),
        Fault("unavailable", "api", times=1),
    ):
        ngc.faults.switch_on(fault)
    assert take().files


def test_an_ngc_that_is_down_is_named(settings):
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    source = NgcSource({}, api_url=url, auth_url=url, retry=settings.retry)
    with pytest.raises(SourceUnavailableError, match=f"{LOCATION}: {url} did not answer"):
        resolve(source)
