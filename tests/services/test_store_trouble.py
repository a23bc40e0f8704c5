"""What a store or what stands before it can say: a sentence with the store, the setting and the remedy."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.artifacts.errors import AccessError, ArtifactError, SourceError
from slipway.artifacts.sources.s3 import S3Source
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore, ObjectStoreError

from .answers import Answer, answering


def refusal(status: int, code: str, message: str = "no", **more: str) -> Answer:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    body = f"<Error><Code>{code}</Code><Message>{message}</Message>{fields}</Error>"
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def at(url: str, **changed: str) -> S3Location:
    return replace(S3Location(url, "bucket", "us-east-1", "key", "secret"), **changed)


PORTAL = Answer(200, b"<!DOCTYPE html><html>Sign in</html>", {"Content-Type": "text/html"})
SKEWED = refusal(403, "RequestTimeTooSkewed", "The difference is too large")
MALFORMED = "AuthorizationHeaderMalformed"
EXPECTING = "The authorization header is malformed; the region is wrong; expecting 'eu-west-9'"
CASES = [
    (SKEWED, r"clock is \d+ s (ahead of|behind) the store's. Set this machine's clock", "NTP"),
    (refusal(400, MALFORMED, EXPECTING), "another region than us-east-1", "to eu-west-9"),
    (refusal(400, MALFORMED, "wrong", Region="eu-west-9"), "another region", "to eu-west-9"),
    (refusal(400, MALFORMED, "wrong"), "another region", "of this bucket|to its own"),
    (refusal(400, "ExpiredToken"), "ExpiredToken", "expired|Correct"),
    (refusal(403, "AccessDenied"), "AccessDenied", "read|Let"),
    (PORTAL, "no store's is|none of a store's", "proxy"),
    (
        Answer(200, b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>"),
        "[sS]3",
        "proxy",
    ),
]


@pytest.mark.parametrize(("answer", "cause", "remedy"), CASES)
def test_slipways_own_store_is_explained(answer: Answer, cause: str, remedy: str) -> None:
    with (
        answering(lambda asked: answer) as url,
        pytest.raises(ObjectStoreError, match=f"(?i){cause}") as told,
    ):
        list(ObjectStore(at(url)).list(""))
    assert url in str(told.value)
    assert any(each in str(told.value) for each in remedy.split("|"))
    assert "is up" not in str(told.value), "it is: it answers"
    assert not told.value.retriable or answer.status == 200
    assert not told.value.unreachable


@pytest.mark.parametrize(("answer", "cause", "remedy"), CASES)
def test_a_store_that_weights_come_from_is_explained(answer: Answer, cause: str, remedy: str) -> None:
    with answering(lambda asked: answer) as url, pytest.raises(ArtifactError, match=cause) as told:
        S3Source(lambda: at(url), {}, {}).resolve("s3://theirs/models", None, None)
    assert url in str(told.value)
    assert isinstance(told.value, AccessError | SourceError)
    assert any(each in str(told.value) for each in remedy.split("|"))


def test_a_region_of_a_source_is_set_where_the_source_is_described() -> None:
    answer = refusal(400, MALFORMED, EXPECTING)
    with answering(lambda asked: answer) as url, pytest.raises(AccessError) as told:
        S3Source(lambda: at(url), {}, {}).resolve("s3://theirs/models", None, None)
    assert "Set Settings.s3_sources.theirs.region to eu-west-9." in str(told.value)


def listed(store: ObjectStore) -> None:
    list(store.list(""))


def by_a_link(store: ObjectStore) -> None:
    store.presigned("GET", "a")


@pytest.mark.parametrize(
    ("changed", "named", "call"),
    [
        *(
            ({"endpoint_url": url}, "SLIPWAY_S3_ENDPOINT", call)
            for url in ("nope", "http://", "http://a b/", "127.0.0.1:8333", "ftp://127.0.0.1")
            for call in (listed, by_a_link)
        ),
        ({"region": "us east"}, "SLIPWAY_S3_REGION", listed),
        ({"bucket": "Not A Bucket"}, "SLIPWAY_S3_BUCKET", listed),
    ],
)
def test_a_setting_that_is_none_is_named(
    changed: dict[str, str], named: str, call: Callable[[ObjectStore], None]
) -> None:
    with pytest.raises(ObjectStoreError, match=named) as told:
        call(ObjectStore(at("http://127.0.0.1:9", **changed)))
    assert not told.value.retriable
    assert not told.value.unreachable
