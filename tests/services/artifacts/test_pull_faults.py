"""All that the hub or the store can do wrong: one clear message, nothing published, and then it works."""

import hashlib
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from slipway.artifacts.errors import (
    AccessError,
    ArtifactError,
    CorruptFileError,
    SourceError,
    SourceUnavailableError,
)
from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.transfer.pace import Pace
from slipway.artifacts.transfer.parts import MIB, TransferLimits
from slipway.artifacts.transfer.progress import Progress
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.transfer.watch import TransferSettings
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.catalog.fields import SecretRef
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import Fault, Repository

from ..conftest import remove_bucket
from .conftest import QUICK

TOKEN = "hf_of-the-owner"


@pytest.fixture
def nothing_published(store):
    """Afterwards: no manifest."""
    yield
    assert not [item.key for item in store.list("") if item.key.endswith("manifest.json")]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("hf://org/absent@main", "hf://org/absent@main: no such repository at http://127.0.0.1"),
        ("hf://org/tiny@absent", "hf://org/tiny@absent: no such revision at http://127.0.0.1"),
        (f"hf://org/tiny@{'0' * 40}", "no such revision"),
        ("s3://bucket/prefix", "s3://bucket/prefix: not a source that can be pulled"),
    ],
)
def test_a_source_that_does_not_exist_is_named(pull, tiny, nothing_published, at, message):
    with pytest.raises(SourceError) as refused:
        pull(tiny.model_copy(update={"source": at}))
    assert message in str(refused.value)
    assert not refused.value.retriable


class TestGated:
    @pytest.fixture(autouse=True)
    def gated(self, repository):
        repository.gated = True
        repository.tokens = frozenset({TOKEN})
        repository.strangers = frozenset({"hf_of-a-stranger"})

    @pytest.mark.parametrize("include", [("*.safetensors",), ("*.json",)])
    def test_without_a_token_says_which_variable_to_set(self, pull, tiny, nothing_published, include):
        with pytest.raises(AccessError, match=r"gated.*No token was sent.*HF_TOKEN"):
            pull(tiny.model_copy(update={"include": include}))

    @pytest.mark.parametrize("include", [("*.safetensors",), ("*.json",)])
    @pytest.mark.parametrize("token", ["hf_mistyped", "hf_of-a-stranger"])
    def test_a_wrong_token_is_named_by_its_variable_and_never_shown(
        self, hub, store, tiny, settings, nothing_published, token, include
    ):
        source = HubSource(hub.url, {"ORG_TOKEN": token}, retry=settings.retry)
        request = tiny.model_copy(update={"token": SecretRef(env="ORG_TOKEN"), "include": include})
        with pytest.raises(AccessError, match="token in ORG_TOKEN was not accepted") as refused:
            pull_weights(request, store, source, print, settings)
        assert token not in str(refused.value)
        assert token not in repr(refused.value.__cause__)

    def test_a_named_variable_that_is_not_set_is_named(self, pull, tiny, nothing_published):
        with pytest.raises(AccessError, match="ORG_TOKEN, which is not set"):
            pull(tiny.model_copy(update={"token": SecretRef(env="ORG_TOKEN")}))

    @pytest.mark.parametrize("variable", ["HF_TOKEN", "ORG_TOKEN"])
    def test_the_right_token_opens_it_and_goes_to_the_hub_alone(self, hub, store, tiny, settings, variable):
        """The content door answers 400 to any token, so a leak would fail the pull."""
        source = HubSource(hub.url, {variable: TOKEN}, retry=settings.retry)
        ref = SecretRef(env=variable) if variable != "HF_TOKEN" else None
        manifest = pull_weights(
            tiny.model_copy(update={"token": ref}), store, source, lambda look: None, settings
        )
        assert verify(manifest, store, lambda look: None) == []


@pytest.mark.parametrize("at_byte", [0, 7 * MIB, 12 * MIB])
def test_one_byte_that_was_damaged_on_its_way_costs_its_part_and_those_before_it(
    pull, tiny, hub, store, content, at_byte, uploads_left
):
    """The digest of a whole file does not tell which part it was: they are read again up to that one."""
    hub.faults.switch_on(Fault("corrupted", path=content.large, after_bytes=at_byte, times=3))
    hub.faults.switch_on(Fault("latency", path=content.large, seconds=0.05, times=3))
    manifest = pull(tiny)
    assert verify(manifest, store, lambda look: None) == []
    assert hub.body_bytes <= content.size_bytes + (at_byte // (5 * MIB) + 1) * 5 * MIB
    assert uploads_left() == []


def test_a_small_file_that_was_damaged_on_its_way_is_read_again(pull, tiny, hub, store, content):
    hub.faults.switch_on(Fault("corrupted", path=content.small, after_bytes=1000, times=1))
    hub.faults.switch_on(Fault("corrupted", "resolve", path=content.text, after_bytes=3, times=1))
    assert verify(pull(tiny), store, lambda look: None) == []
    again = len(content.files[content.small]) + len(content.files[content.text])
    assert hub.body_bytes == content.size_bytes + again


def test_a_server_that_ignores_ranges_sends_a_file_once_for_all_its_parts(pull, tiny, hub, content):
    hub.faults.switch_on(Fault("unranged"))
    pull(tiny)
    # Workers that came before it was known have asked for themselves, and hung up.
    assert hub.requests.count(("GET", content.large)) <= 5


def test_a_connection_that_trickles_is_given_up_for_another_and_none_of_its_bytes_twice(
    hub, store, tiny, settings, content
):
    source = HubSource(hub.url, {}, retry=QUICK, pace=Pace(least_bytes_per_s=2**20, window_s=0.3))
    hub.faults.switch_on(Fault("throttled", path=content.large, bytes_per_s=2**17, times=3))
    began = time.monotonic()
    manifest = pull_weights(tiny, store, source, lambda look: None, settings)
    assert time.monotonic() - began < 20, "at that rate it would take 96 s"
    assert verify(manifest, store, lambda look: None) == []


def test_a_source_whose_every_connection_trickles_fails_and_names_rate_and_setting(
    hub, store, tiny, settings, content, nothing_published
):
    variables = {"SLIPWAY_TRANSFER_LEAST_BYTES_PER_S": "1e9"}
    pace = replace(Pace.of(variables), window_s=0.1)
    source = HubSource(hub.url, variables, retry=QUICK, pace=pace)
    hub.faults.switch_on(Fault("throttled", bytes_per_s=2**10))
    with pytest.raises(SourceUnavailableError, match=r"slower than 1e\+09 bytes.*TRANSFER_LEAST_BYTES_PER_S"):
        pull_weights(tiny, store, source, lambda look: None, settings)


@pytest.mark.parametrize("at_byte", [0, 7 * MIB, 12 * MIB])
def test_one_wrong_byte_in_a_file_of_the_right_size_is_found(
    pull, tiny, hub, store, content, at_byte, uploads_left
):
    hub.faults.switch_on(Fault("corrupted", path=content.large, after_bytes=at_byte))
    with pytest.raises(CorruptFileError, match=content.large) as found:
        pull(tiny)
    assert "Nothing was published" in str(found.value)
    assert content.large not in str([item.key for item in store.list("")])
    assert Manifest.read(store, "tiny", tiny.source[-40:]) is None
    assert uploads_left() == []
    hub.faults.clear()
    assert verify(pull(tiny), store, lambda look: None) == []


def test_one_wrong_byte_in_a_file_that_git_keeps_is_found(pull, tiny, hub, content, nothing_published):
    hub.faults.switch_on(Fault("corrupted", "resolve", path=content.text, after_bytes=3))
    with pytest.raises(CorruptFileError, match=r"config\.json.*git-blob-sha1"):
        pull(tiny)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("dropped", after_bytes=MIB + 17, times=2),
        Fault("truncated", after_bytes=1000, times=2),
        Fault("rate-limited", seconds=0.02, times=3),
        Fault("rate-limited", "api", seconds=0.02, times=1),
        Fault("rate-limited", "resolve", seconds=0.02, times=2),
        Fault("unavailable", times=3),
        Fault("unavailable", "resolve", times=2),
        Fault("unavailable", "api", times=1),
        *(Fault("expired", status=status, times=2) for status in (400, 401, 403, 404, 410)),
        Fault("out-of-quota", seconds=0, times=1),
        Fault("out-of-quota", "resolve", seconds=0, times=1),
        Fault("dropped", after_bytes=MIB),
        Fault("unranged"),
        Fault("foreign-etag", "resolve", body='W/"nginx-1"'),
        Fault("foreign-etag", "resolve", body='"' + "0" * 64 + '"'),
        Fault("foreign-etag", "resolve"),
        Fault("no-head", "resolve"),
        Fault("latency", seconds=0.05),
        Fault("dropped", "resolve", path="config.json", after_bytes=5, times=2),
    ],
    ids=lambda fault: f"{fault.kind}-at-{fault.door}",
)
def test_a_fault_that_passes_is_outlived(pull, tiny, hub, store, fault):
    hub.faults.switch_on(fault)
    assert verify(pull(tiny), store, lambda look: None) == []


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Fault("dropped", after_bytes=1000), SourceUnavailableError, "broke off"),
        (Fault("truncated", after_bytes=1000), SourceUnavailableError, "got 1000"),
        (Fault("rate-limited", seconds=0.01), SourceUnavailableError, "429"),
        (Fault("unavailable"), SourceUnavailableError, "503"),
        (Fault("unavailable", "api"), SourceUnavailableError, "503"),
        (Fault("expired"), SourceUnavailableError, "expired"),
        (Fault("expired", status=400), SourceUnavailableError, "400 ExpiredToken; the link may have expired"),
        (Fault("portal", "api"), SourceError, "http://127.0.0.1.*answered with something that no hub says"),
        (Fault("vanished"), SourceError, "is gone"),
        (Fault("vanished", "resolve"), SourceError, "is gone"),
        (Fault("wrong-length"), CorruptFileError, "Nothing was published"),
        (Fault("wrong-length", "resolve"), CorruptFileError, "Nothing was published"),
    ],
    ids=lambda value: f"{value.kind}-at-{value.door}" if isinstance(value, Fault) else "",
)
def test_a_fault_that_stays_publishes_nothing_and_completes_when_it_is_gone(
    pull, tiny, hub, store, uploads_left, fault, kind, message
):
    hub.faults.switch_on(fault)
    with pytest.raises(kind, match=message) as failed:
        pull(tiny)
    assert "hf://org/tiny" in str(failed.value)
    assert "signature" not in str(failed.value)
    assert Manifest.read(store, "tiny", tiny.source[-40:]) is None
    hub.faults.clear()
    assert verify(pull(tiny), store, lambda look: None) == []
    assert uploads_left() == []


@pytest.mark.parametrize(
    "fault",
    [Fault("expired", times=2), Fault("truncated", after_bytes=9, times=2), Fault("unavailable", times=2)],
)
def test_a_small_file_behind_a_redirect_outlives_a_fault_that_passes(
    pull, hub, store, tmp_path, safetensors, fault
):
    """It is read through the hub's redirect in one go, so a refused signature is no refused token."""
    (tmp_path / "small.safetensors").write_bytes(safetensors(b"weights" * 1000))
    repository = Repository("org/small")
    commit = repository.commit_directory(tmp_path).id
    hub.add(repository)
    hub.faults.switch_on(fault)
    manifest = pull(WeightsRequest(name="small", source=f"hf://org/small@{commit}"))
    assert verify(manifest, store, lambda look: None) == []
    assert {method for method, _ in hub.requests} == {"GET"}


def test_retry_after_is_waited_for(pull, tiny, hub):
    hub.faults.switch_on(Fault("rate-limited", "api", seconds=0.6, times=1))
    began = time.monotonic()
    pull(tiny)
    assert time.monotonic() - began >= 0.6


def test_a_hub_that_is_down_is_named(pull, tiny, hub, nothing_published):
    hub.stop()
    with pytest.raises(SourceUnavailableError, match=r"hf://org/tiny.*did not answer"):
        pull(tiny)


def test_a_store_with_a_wrong_secret_is_named_and_unchanged(store, tiny, source, settings, nothing_published):
    intruder = ObjectStore(replace(store.location, secret_key="wrong"))
    with pytest.raises(ObjectStoreError, match="SLIPWAY_S3_SECRET_KEY"):
        pull_weights(tiny, intruder, source, lambda look: None, settings)


def test_a_bucket_that_does_not_exist_is_named_before_anything_is_fetched(store, tiny, source, settings, hub):
    absent = ObjectStore(replace(store.location, bucket=f"{store.location.bucket}-absent"))
    with pytest.raises(ObjectStoreError, match=f"{absent.location.bucket}.*Create the bucket"):
        pull_weights(tiny, absent, source, lambda look: None, settings)
    assert hub.body_bytes == 0
    absent.ensure_bucket()
    manifest = pull_weights(tiny, absent, source, lambda look: None, settings)
    assert verify(manifest, absent, lambda look: None) == []
    remove_bucket(absent)


def test_a_store_that_is_down_is_named(store, tiny, source, settings):
    gone = ObjectStore(replace(store.location, endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}"))
    with pytest.raises(ObjectStoreError, match="SLIPWAY_S3_ENDPOINT"):
        pull_weights(tiny, gone, source, lambda look: None, settings)


@pytest.mark.parametrize("memory_bytes", [MIB, 9 * MIB], ids=["far-less-than-a-part", "half-a-part-each"])
def test_parts_that_do_not_fit_into_memory_are_streamed_and_the_file_is_read_back(
    store, tiny, source, content, hub, memory_bytes
):
    """As with a file of 5 TB, whose parts must be of half a GB each."""
    small = TransferSettings(TransferLimits(memory_bytes=memory_bytes), QUICK)
    hub.faults.switch_on(Fault("dropped", after_bytes=2**16, times=3))
    looks: list[Progress] = []
    manifest = pull_weights(tiny, store, source, looks.append, small)
    assert {file.path: file.sha256 for file in manifest.files} == {
        path: hashlib.sha256(body).hexdigest() for path, body in content.files.items()
    }
    assert looks[-1].done_bytes == content.size_bytes


def test_old_uploads_can_be_aborted_by_their_age(store, uploads_left):
    uploads = Uploads(store)
    uploads.create("weights/a/x")
    (first,) = uploads.unfinished("weights/")
    time.sleep(1.1)  # the store tells whole seconds
    uploads.create("weights/b/x")
    assert uploads.abort_older_than("weights/", first.initiated) == 0
    assert uploads.abort_older_than("weights/", first.initiated + timedelta(seconds=1)) == 1
    assert uploads_left() == ["weights/b/x"]


def test_every_error_of_a_pull_is_of_the_domain():
    """Callers catch two types: these, and the store's."""
    assert all(
        issubclass(kind, ArtifactError) for kind in (AccessError, CorruptFileError, SourceUnavailableError)
    )
