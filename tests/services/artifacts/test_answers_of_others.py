"""What answers in a hub's or NGC's place: one sentence that names it and the setting."""

import json

import pytest

from slipway.artifacts.errors import ArtifactError, SourceError
from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.sources.ngc import NgcSource

from ..answers import Answer, answering
from .conftest import QUICK

COMMIT = "a" * 40
DEEP = b"[" * 100_000 + b"]" * 100_000
JSON = {"Content-Type": "application/json"}
BODIES = [
    b"",
    b"<!DOCTYPE html><html>Sign in</html>",
    b"\xff\xfe",
    b"[]",
    b'"a word"',
    b"7",
    b"null",
    b"{}",
    DEEP,
    b'{"id": ' + DEEP + b"}",
]


def told_of_hub(answer: Answer, *, listing: Answer | None = None) -> str:
    """What is said when a hub answers so."""

    def given(asked):
        return listing if listing is not None and "/tree/" in asked.path else answer

    with answering(given) as url, pytest.raises(ArtifactError) as told:
        HubSource(url, {}, retry=QUICK).resolve("hf://org/tiny", "main", None).files()
    assert url in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("body", BODIES)
def test_what_no_hub_says_names_the_hub_that_was_asked_and_the_setting(body):
    said = told_of_hub(Answer(200, body, JSON))
    assert said.startswith("hf://org/tiny@main: http://127.0.0.1:")
    assert "SLIPWAY_HUB_URL" in said


@pytest.mark.parametrize(
    "info", [{"id": "org/tiny"}, {"id": "org/tiny", "sha": 7}, {"id": "org/tiny", "sha": "c"}]
)
def test_a_commit_that_is_none_is_said_to_be_so(info):
    assert "which is no git commit id" in told_of_hub(Answer(200, json.dumps(info).encode(), JSON))


@pytest.mark.parametrize(
    "listing",
    [
        b"<html>",
        b"{}",
        b"7",
        b'[{"type": "file"}]',
        b'[{"type": "file", "path": "a", "size": "many", "oid": "' + COMMIT.encode() + b'"}]',
        b'[{"type": "file", "path": "a", "size": 7, "oid": 7}]',
        b'[{"type": "file", "path": "a", "size": 7, "oid": "0", "lfs": 7}]',
        b'[{"type": "file", "path": "a", "size": -7, "oid": "' + COMMIT.encode() + b'"}]',
        b'[{"type": "file", "path": 7, "size": 7, "oid": "' + COMMIT.encode() + b'"}]',
        DEEP,
    ],
)
def test_a_listing_that_is_none_names_the_hub(listing):
    info = Answer(200, json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": []}).encode(), JSON)
    said = told_of_hub(info, listing=Answer(200, listing, JSON))
    assert said.startswith(f"hf://org/tiny@{COMMIT}")


@pytest.mark.parametrize(
    ("status", "named"), [(418, "SLIPWAY_HUB_URL"), (451, "SLIPWAY_HUB_URL"), (400, "HUB_URL")]
)
def test_a_status_that_no_hub_answers_names_the_hub(status, named):
    assert named in told_of_hub(Answer(status, b"no", JSON))


@pytest.mark.parametrize("url", ["nope", "127.0.0.1:1", "ftp://127.0.0.1", "http://", "http://a b"])
def test_a_hub_url_that_is_none_is_named_with_its_value(url):
    with pytest.raises(ArtifactError, match="SLIPWAY_HUB_URL") as told:
        HubSource(url, {}, retry=QUICK).resolve("hf://org/tiny", "main", None)
    assert url in str(told.value)


def test_a_name_that_no_repository_has_is_said_in_one_line():
    with pytest.raises(SourceError, match=r"no name of a repository\. Write hf://org/name@commit"):
        HubSource("http://127.0.0.1:9", {}, retry=QUICK).resolve("hf://org/--", "main", None)


def test_which_hub_was_asked_and_how_to_ask_the_real_one_is_said(source, hub):
    with pytest.raises(SourceError) as told:
        source.resolve("hf://org/absent", "main", None)
    assert f"no such repository at {hub.url}" in str(told.value)
    assert "Set SLIPWAY_HUB_URL=https://huggingface.co" in str(told.value)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("location", ["ngc://nvidia/tiny", "ngc://nvidia/nemo/tiny@1.0"])
def test_what_ngc_never_says_names_who_said_it(body, location):
    with answering(lambda asked: Answer(200, body, JSON)) as url, pytest.raises(ArtifactError) as told:
        NgcSource({}, api_url=url, auth_url=url, retry=QUICK).resolve(location, None, None)
    assert str(told.value).startswith(location)
    if body != b"{}":
        assert url in str(told.value)
        assert "SLIPWAY_NGC_URL" in str(told.value)


@pytest.mark.parametrize(
    "files",
    [
        {"modelFiles": [{"path": "a"}]},
        {"modelFiles": [{"sizeInBytes": 7}]},
        {"modelFiles": [{"path": "a", "sizeInBytes": "many"}]},
        {"modelFiles": [7]},
        {"modelFiles": 7},
        {"modelFiles": [{"path": "a", "sizeInBytes": 7}], "paginationInfo": {"totalPages": "some"}},
        {"modelFiles": [{"path": "a", "sizeInBytes": 7}], "paginationInfo": 7},
    ],
)
def test_a_listing_of_ngc_that_is_none_names_it(files):
    def given(asked):
        about = {"modelVersion": {"status": "UPLOAD_COMPLETE"}, "model": {}}
        return Answer(200, json.dumps(files if "/files" in asked.path else about).encode(), JSON)

    with answering(given) as url, pytest.raises(SourceError, match="SLIPWAY_NGC_URL") as told:
        NgcSource({}, api_url=url, auth_url=url, retry=QUICK).resolve("ngc://nvidia/tiny@1.0", None, None)
    assert url in str(told.value)
