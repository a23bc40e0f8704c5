"""What nothing names is removed from the registry, in an order that loses nothing."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from slipway.artifacts.garbage import UnknownUsesError
from slipway.artifacts.images import removal
from slipway.artifacts.images.collection import collect as collect_images
from slipway.artifacts.images.errors import TargetError
from slipway.artifacts.images.record import ImageRecord
from slipway.artifacts.images.references import referrers_tag
from slipway.catalog import Catalog
from slipway.catalog.documents import Engine, EngineImage, Settings
from slipway.records.revisions import Revision, RevisionStore

from .conftest import PATH

LATER = timedelta(days=2)


def revision_of(spec, rendered, applied_at) -> Revision:
    return Revision(
        deployment="chat",
        spec_digest="abcdef0123",
        application="chat-abcdef0123",
        strategy="blue-green",
        upstream="http://127.0.0.1:1/v1",
        served_names=("chat",),
        state="applied",
        spec=spec,
        rendered=rendered,
        applied_at=applied_at.isoformat(),
    )


@pytest.fixture
def catalog_of(source):
    """A catalog whose engine has this image."""

    def make(**image: object) -> Catalog:
        fields = {"image": f"{source.host}/{PATH}", **image}
        engine = Engine(name="engine", server="vllm", images={"cpu": EngineImage.model_validate(fields)})
        return Catalog(engines=(engine,), settings=Settings(name="x", weights_grace_s=86_400))

    return make


@pytest.fixture
def collect(store, registries):
    def run(catalog: Catalog, *, apply: bool = True, later: timedelta = LATER):
        return collect_images(catalog, store, registries, apply=apply, now=datetime.now(UTC) + later)

    return run


@pytest.fixture
def there(registries):
    """Which of a record's manifests the target has."""

    def look(record: ImageRecord) -> list[str]:
        return [each for each in record.manifests if registries.target.resolve(record.at, each)]

    return look


@pytest.fixture
def old_and_new(maker, run_mirror, request_for):
    """Two images of one tag that share a layer and a signature's configuration; the older one is signed."""
    layer = maker.draw.randbytes(50_000)
    first = maker.index("amd64", "arm64", tag="v1")
    maker.sign(first["digest"])
    old = run_mirror(request_for()).record
    maker.image(tag="v1", layers=(layer,))
    return old, run_mirror(request_for()).record


def test_nothing_is_removed_without_apply(old_and_new, collect, catalog_of, records):
    old, new = old_and_new
    collected = collect(catalog_of(digest=new.digest), apply=False)
    assert [fate.stored for fate in collected.removed] == [old]
    assert not collected.applied and len(records.all()) == 2


def test_an_image_that_nothing_names_goes_with_its_platforms_and_signatures(
    old_and_new, collect, catalog_of, records, there, registries, read_back
):
    old, new = old_and_new
    assert len(there(old)) == len(old.manifests) == 4  # two platforms, the index, the signature
    collect(catalog_of(digest=new.digest))
    assert there(old) == []
    assert records.all() == [new] and records.removals() == []
    assert set(registries.target.tags(new.at)) == set(new.tags)
    read_back(new, new.digest)


def test_what_a_kept_image_shares_is_left_when_another_goes(
    maker, run_mirror, request_for, collect, catalog_of, there, read_back
):
    maker.index("amd64", "arm64", tag="v1")
    whole = run_mirror(request_for()).record
    alone_digest = whole.platforms["linux/amd64"]
    maker.manifest(json.loads(maker.manifests[alone_digest]), "only-amd64")
    alone = run_mirror(request_for(accelerator="nvidia", tag="only-amd64")).record
    assert alone.digest == alone_digest
    collected = collect(catalog_of(tag="only-amd64"))
    assert [fate.stored.digest for fate in collected.removed] == [whole.digest]
    assert there(whole) == [alone_digest]
    read_back(alone, alone_digest)


def test_within_the_grace_time_everything_stays(old_and_new, collect, catalog_of, records):
    catalog = Catalog(settings=Settings(name="x", weights_grace_s=86_400))
    collected = collect(catalog, later=timedelta(hours=1))
    assert len(collected.waiting) == len(records.all()) == 2


def test_the_tag_of_the_catalog_keeps_what_it_is_now(old_and_new, collect, catalog_of, records):
    old, new = old_and_new
    collected = collect(catalog_of(tag="v1"))
    assert [fate.stored.digest for fate in collected.removed] == [old.digest]
    assert records.all() == [new]


@pytest.mark.parametrize("named", ["digest", "tag", "rendered"])
def test_what_a_kept_revision_names_is_never_removed(old_and_new, collect, records, store, named, source):
    old, _new = old_and_new
    image = {"image": f"{source.host}/{PATH}", "tag": None, "digest": None}
    image |= {"digest": {"digest": old.digest}, "tag": {"tag": "v1"}, "rendered": {"tag": "other"}}[named]
    rendered = {"image": f"registry/x@{old.platforms['linux/amd64']}"} if named == "rendered" else {}
    revisions = RevisionStore(store)
    revisions.put(revision_of({"engine": {"images": {"cpu": image}}}, rendered, old.created_at))
    collected = collect(Catalog(settings=Settings(name="x")))
    assert old in records.all()
    assert [fate.named_by for fate in collected.kept if fate.stored == old] == [("revision chat abcdef01",)]
    revisions.forget("chat")
    collect(Catalog(settings=Settings(name="x")))
    assert records.all() == []


@pytest.mark.parametrize("spec", [{}, {"engine": {"images": {"cpu": {"tag": "v1"}}}}])
def test_a_revision_whose_images_cannot_be_read_stops_the_collection_by_name(
    old_and_new, collect, records, store, spec
):
    RevisionStore(store).put(revision_of(spec, {}, datetime.now(UTC)))
    with pytest.raises(UnknownUsesError, match=r"revisions/chat/abcdef0123\.json.*nothing is removed"):
        collect(Catalog(settings=Settings(name="x")))
    assert len(records.all()) == 2


def test_a_removal_that_was_interrupted_is_gone_on_with(
    old_and_new, collect, catalog_of, records, there, registries, monkeypatch
):
    old, new = old_and_new
    target = registries.target
    with monkeypatch.context() as broken:
        broken.setattr(target, "delete_manifest", lambda *_: (_ for _ in ()).throw(TargetError("gone")))
        with pytest.raises(TargetError):
            collect(catalog_of(digest=new.digest))
    assert records.all() == [new] and len(records.removals()) == 1  # no record names what may be missing
    collected = collect(catalog_of(digest=new.digest))
    assert [(fate.stored, "interrupted" in fate.reason) for fate in collected.removed] == [(old, True)]
    assert there(old) == [] and records.removals() == []


def test_mirroring_while_it_is_removed_ends_with_the_image_there(
    old_and_new, records, there, run_mirror, request_for, store, registries
):
    """A removal has begun and is slow: the mirroring sees it after it wrote its record, and mirrors again."""
    old, _ = old_and_new
    store.put(old.removal_key, old.encode())
    store.delete(old.key)
    mirrored: list[ImageRecord] = []
    request = request_for(tag=None, digest=old.digest)
    work = threading.Thread(target=lambda: mirrored.append(run_mirror(request).record))
    work.start()
    deadline = time.monotonic() + 90
    while records.read(old.key) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    for digest in reversed(old.manifests):
        registries.target.delete_manifest(old.at, digest)
    assert mirrored == []
    store.delete(old.removal_key)
    work.join(90)
    assert there(mirrored[0]) == list(mirrored[0].manifests)
    assert records.read(old.key) == mirrored[0]


def test_a_removal_leaves_what_was_mirrored_after_it_was_decided(
    old_and_new, records, there, run_mirror, request_for, registries
):
    old, _ = old_and_new
    run_mirror(request_for(tag=None, digest=old.digest))
    assert not removal.remove(old, records, registries.target)
    assert there(old) == list(old.manifests) and records.removals() == []


def test_a_list_of_referrers_goes_with_what_it_is_about(
    maker, run_mirror, request_for, collect, registries, records
):
    subject = maker.image(tag="v1")
    sbom = maker.artifact(b"an SBOM", subject=subject)
    listed = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [sbom]}
    maker.manifest(listed, referrers_tag(subject["digest"]))
    record = run_mirror(request_for()).record
    assert referrers_tag(subject["digest"]) in record.tags
    collect(Catalog(settings=Settings(name="x")))
    assert registries.target.tags(record.at) == [] and records.all() == []


def test_an_image_in_another_registry_is_told_of_and_left(collect, run_mirror, request_for, maker, records):
    maker.image(tag="v1")
    here = run_mirror(request_for()).record
    there = here.model_copy(update={"registry": "elsewhere.example:5000", "engine": "other"})
    records.put(there)
    collected = collect(Catalog(settings=Settings(name="x", weights_grace_s=86_400)))
    assert collected.elsewhere == (there,)
    assert [fate.stored for fate in collected.removed] == [here]
    assert records.all() == [there]
