import pytest

from slipway.catalog.sources import checked_source, is_pinned, split_revision

COMMIT = "0123456789abcdef" * 2 + "01234567"
LISTING = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("source", "location", "revision", "pinned"),
    [
        (f"hf://org/name@{COMMIT}", "hf://org/name", COMMIT, True),
        ("hf://org/name@main", "hf://org/name", "main", False),
        ("hf://org/name@refs/pr/3", "hf://org/name", "refs/pr/3", False),
        ("hf://org/name@0123456", "hf://org/name", "0123456", False),
        (f"hf://org/name@{LISTING}", "hf://org/name", LISTING, False),
        ("hf://org/name", "hf://org/name", None, False),
        ("ngc://org/model", "ngc://org/model", None, False),
        ("ngc://org/team/model@1.0", "ngc://org/team/model@1.0", None, False),
        (f"ngc://org/model@1.0@{LISTING}", "ngc://org/model@1.0", LISTING, True),
        (f"ngc://org/model@{LISTING}", "ngc://org/model", LISTING, True),
        ("s3://bucket/models/a@b", "s3://bucket/models/a@b", None, False),
        (f"s3://bucket/models@{LISTING}", "s3://bucket/models", LISTING, True),
        (f"s3://bucket/models@{COMMIT}", f"s3://bucket/models@{COMMIT}", None, False),
        ("s3://bucket", "s3://bucket", None, False),
        ("file:///models/a b", "file:///models/a b", None, False),
        (f"file:///models/a.gguf@{LISTING}", "file:///models/a.gguf", LISTING, True),
    ],
)
def test_a_source_is_split_and_is_pinned_only_by_what_never_changes(
    source: str, location: str, revision: str | None, pinned: bool
) -> None:
    assert checked_source(source) == source
    assert split_revision(source) == (location, revision)
    assert is_pinned(source) is pinned


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("https://host/model", "not a source"),
        ("s3:bucket", "not a source"),
        ("s3://", "not a source"),
        ("hf://name", "not a hub repository"),
        ("ngc://model", "not a model at NGC"),
        ("ngc://a/b/c/d", "not a model at NGC"),
        ("ngc://org/../model", "not a model at NGC"),
        ("s3://Bucket/prefix", "'Bucket' cannot be a bucket's name"),
        ("s3://ab/prefix", "'ab' cannot be a bucket's name"),
        ("s3://a..b/prefix", "'a..b' cannot be a bucket's name"),
        ("s3://10.0.0.1/prefix", "'10.0.0.1' cannot be a bucket's name"),
        ("s3:///prefix", "'' cannot be a bucket's name"),
        ("s3://bucket/../other", "the prefix contains . or .."),
        ("s3://bucket//prefix", "the prefix contains an empty part"),
        ("s3://bucket/a\\b", "the prefix holds a backslash"),
        ("file://models/a", "the path is not absolute"),
        ("file:///", "the path is the whole machine"),
        ("file:///models/../etc", "the path contains . or .."),
        ("file:///models//a", "the path contains an empty part"),
    ],
)
def test_what_is_no_source_is_refused_offline_with_what_to_write(source: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\. (Write|Correct)") as refused:
        checked_source(source)
    assert str(refused.value).startswith(said)
