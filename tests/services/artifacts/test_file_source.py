"""`file://`: what lies on this machine is taken as it is, or refused with every reason at once."""

import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.artifacts.errors import AccessError, CorruptFileError, SourceError
from slipway.artifacts.source import Snapshot, commit_of
from slipway.artifacts.sources.file import FileSource
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.catalog.documents import Adapter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "llama" / "sub").mkdir(parents=True)
    (tmp_path / "llama" / "config.json").write_bytes(b"{}\n")
    (tmp_path / "llama" / "sub" / "model.gguf").write_bytes(b"GGUF" + bytes(range(256)) * 4096)
    (tmp_path / "llama" / "empty.txt").write_bytes(b"")
    return tmp_path / "llama"


@pytest.fixture
def take(store, settings, folder) -> Callable[..., Manifest]:
    """Pull the folder under the name `llama`; keywords change the request."""

    def pull(**changes: object) -> Manifest:
        request = WeightsRequest(name="llama", source=f"file://{folder}").model_copy(update=changes)
        return pull_weights(request, store, FileSource(), lambda look: None, settings)

    return pull


def resolve(place: Path) -> Snapshot:
    return FileSource().resolve(f"file://{place}", None, None)


def test_a_folder_is_published_at_a_commit_made_of_its_bytes(take, folder, store):
    manifest = take()
    bodies = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert {each.path: each.sha256 for each in manifest.files} == {
        path: hashlib.sha256(body).hexdigest() for path, body in bodies.items()
    }
    assert all(store.get(manifest.prefix + path) == body for path, body in bodies.items())
    rows = [(path, len(body), hashlib.sha256(body).hexdigest()) for path, body in bodies.items()]
    assert manifest.commit == commit_of(rows)
    assert manifest.source == f"file://{folder}@{manifest.commit}"


def test_the_same_bytes_elsewhere_are_the_same_commit_and_other_bytes_another(folder, tmp_path):
    before = resolve(folder).commit
    elsewhere = folder.rename(tmp_path / "elsewhere")
    assert resolve(elsewhere).commit == before
    (elsewhere / "config.json").write_bytes(b"[]\n")
    assert resolve(elsewhere).commit != before


def test_one_file_and_patterns_are_taken_as_from_a_hub(take, folder):
    gguf = folder / "sub" / "model.gguf"
    alone = take(name="alone", source=f"file://{gguf}")
    assert [each.path for each in alone.files] == ["model.gguf"]
    assert [each.path for each in take(include=("*.gguf",)).files] == ["sub/model.gguf"]


def test_an_adapter_comes_the_same_way(folder, store, settings):
    adapter = Adapter(name="tone", base="llama", source=f"file://{folder}", include=("*.json",))
    manifest = pull_weights(WeightsRequest.of(adapter), store, FileSource(), lambda look: None, settings)
    assert (manifest.name, [each.path for each in manifest.files]) == ("tone", ["config.json"])


def test_a_pinned_folder_is_taken_only_as_it_was(take, folder, store):
    commit = resolve(folder).commit
    pinned = f"file://{folder}@{commit}"
    (folder / "config.json").write_bytes(b"[]\n")
    moved = resolve(folder).commit
    with pytest.raises(SourceError) as refused:
        take(source=pinned)
    assert f"{pinned}: the source has moved on: it is {moved} now" in str(refused.value)
    assert list(store.list("")) == []
    (folder / "config.json").write_bytes(b"{}\n")
    assert take(source=pinned).commit == commit


def test_every_link_and_special_file_is_named_and_nothing_is_published(take, folder, store):
    (folder / "link.bin").symlink_to(folder / "config.json")
    (folder / "linked").symlink_to(folder / "sub", target_is_directory=True)
    os.mkfifo(folder / "sub" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        with pytest.raises(SourceError) as refused:
            take()
    said = str(refused.value)
    assert "link.bin is a symlink, linked is a symlink, socket is no plain file" in said
    assert "sub/pipe is no plain file" in said
    assert "cp -rL" in said
    assert list(store.list("")) == []
    for name in ("link.bin", "linked", "sub/pipe", "socket"):
        (folder / name).unlink()
    assert len(take().files) == 3


def test_a_link_to_a_folder_is_not_followed_even_when_it_is_the_source(folder, tmp_path):
    (tmp_path / "current").symlink_to(folder, target_is_directory=True)
    with pytest.raises(SourceError, match="current is a symlink"):
        resolve(tmp_path / "current")


@pytest.mark.parametrize(("place", "said"), [("absent", "this machine has no"), ("nothing", "holds no file")])
def test_a_place_without_files_is_named(tmp_path, place, said):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceError, match=said) as refused:
        resolve(tmp_path / place)
    assert f"file://{tmp_path / place}" in str(refused.value)


@pytest.mark.parametrize("name", [b"back\\slash", b"new\nline", b"not-utf8-\xff", b"manifest.json"])
def test_a_name_that_must_not_become_a_key_is_refused(take, folder, store, name):
    Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"x")
    with pytest.raises(SourceError, match="exclude"):
        take()
    assert list(store.list("")) == []


def read(snapshot: Snapshot, path: str) -> bytes:
    file = next(each for each in snapshot.files() if each.path == path)
    buffer = memoryview(bytearray(file.size_bytes))
    snapshot.read_into(file, 0, buffer, lambda count: None)
    return bytes(buffer)


def test_a_file_that_changes_while_it_is_pulled_is_named(folder):
    snapshot = resolve(folder)
    assert read(snapshot, "config.json") == b"{}\n"
    (folder / "config.json").write_bytes(b"[]\n")
    with pytest.raises(SourceError, match=r"file config\.json: changed while it was read"):
        read(snapshot, "config.json")


def test_a_file_that_was_replaced_or_linked_away_is_named(folder, tmp_path):
    snapshot = resolve(folder)
    other = tmp_path / "other.json"
    (folder / "config.json").rename(other)
    with pytest.raises(SourceError, match=r"config\.json: was listed, but is gone"):
        read(snapshot, "config.json")
    (folder / "config.json").symlink_to(other)
    with pytest.raises(SourceError, match=r"config\.json: changed while it was read"):
        read(snapshot, "config.json")
    (folder / "config.json").unlink()
    (folder / "config.json").write_bytes(b"{}\n")
    with pytest.raises(SourceError, match=r"config\.json: changed while it was read"):
        read(snapshot, "config.json")


@contextlib.contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Root reads everything, so it steps down for a moment."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_this_user_may_not_read_is_named():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "secret.bin").write_bytes(b"x")
        (folder / "open.bin").write_bytes(b"x")
        (folder / "closed").mkdir(mode=0o700)
        snapshot = resolve(folder)
        (folder / "secret.bin").chmod(0o000)
        (folder / "closed").chmod(0o000)
        with an_ordinary_user():
            with pytest.raises(SourceError, match=r"closed is not readable, secret\.bin is not readable"):
                resolve(folder)
            with pytest.raises(AccessError, match=r"secret\.bin: is not readable"):
                read(snapshot, "secret.bin")
        (folder / "closed").chmod(0o700)


def test_a_clone_is_published_without_what_git_keeps_of_it(take, folder):
    (folder / ".git" / "lfs").mkdir(parents=True)
    before = resolve(folder).commit
    (folder / ".git" / "config").write_bytes(b"[core]")
    (folder / ".git" / "dangling").symlink_to("nowhere")
    manifest = take()
    assert not [file.path for file in manifest.files if ".git" in file.path]
    assert manifest.commit == before, "what git keeps is no part of the content"


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "model.onnx", "tokenizer.model", "vocab.txt"]
)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git-lfs pointer"),
        (b"<!DOCTYPE html><html>Sign in to the guest network</html>", "HTML page"),
    ],
)
def test_a_clone_without_lfs_and_a_mirror_of_a_portal_are_refused_by_every_name(
    take, folder, store, name, body, said
):
    (folder / name).write_bytes(body)
    with pytest.raises(CorruptFileError, match=rf"{name}: is an? {said}"):
        take()
    assert not [item.key for item in store.list("") if item.key.endswith("manifest.json")]
