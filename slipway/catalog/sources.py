"""The syntax of sources: where artifacts come from, and what pins them.

Belongs here: the four schemes as text, and splitting a source into location and revision.
Does not: reaching any of them (slipway.artifacts), rules between documents (slipway.catalog.rules).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

# A commit of git; and a digest of a listing, which is what pins a source that has no commits of its own.
COMMIT = re.compile(r"^[0-9a-f]{40}$")
LISTING = re.compile(r"^[0-9a-f]{64}$")

_HUB = re.compile(r"^hf://[^/@\s]+/[^/@\s]+(@\S+)?$")
_NGC = re.compile(r"^ngc://[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){1,2}(@[A-Za-z0-9._+-]+)?$")
_BUCKET = re.compile(r"^[a-z0-9]([a-z0-9.-]{1,61})[a-z0-9]$")
_ADDRESS = re.compile(r"^\d+\.\d+\.\d+\.\d+$")


def checked_source(source: str) -> str:
    """The source as it was written; raises ValueError with the remedy when it is none."""
    scheme, separator, rest = source.partition("://")
    check = _CHECKS.get(scheme)
    if check is None or not separator or not rest:
        raise ValueError(
            "not a source. Write hf://org/name@commit, ngc://org/model@version, s3://bucket/prefix "
            "or file:///path"
        )
    check(source)
    return source


def _check_hub(source: str) -> None:
    if not _HUB.match(source) or any(part in {".", ".."} for part in re.split(r"[/@]", source)):
        raise ValueError("not a hub repository. Write hf://org/name@commit")


def _check_ngc(source: str) -> None:
    location = split_revision(source)[0]
    if not _NGC.match(location) or any(part in {".", ".."} for part in re.split(r"[/@]", location)):
        raise ValueError("not a model at NGC. Write ngc://org/model@version or ngc://org/team/model@version")


def _check_s3(source: str) -> None:
    bucket, _, prefix = split_revision(source)[0].removeprefix("s3://").partition("/")
    _checked_bucket(bucket)
    problem = _problem_with_path(prefix)
    if problem:
        raise ValueError(f"the prefix {problem}. Write s3://bucket/prefix")


def _check_file(source: str) -> None:
    path = split_revision(source)[0].removeprefix("file://")
    if not path.startswith("/"):
        raise ValueError("the path is not absolute. Write file:///path")
    problem = "is the whole machine" if path == "/" else _problem_with_path(path[1:])
    if problem:
        raise ValueError(f"the path {problem}. Write file:///path")


def _checked_bucket(name: str) -> str:
    if not _BUCKET.match(name) or ".." in name or _ADDRESS.match(name):
        raise ValueError(
            f"{name!r} cannot be a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens. "
            "Correct it"
        )
    return name


def _problem_with_path(path: str) -> str | None:
    """Why a path within a source cannot be meant; one slash at its end is allowed."""
    parts = path.removesuffix("/").split("/") if path else []
    if any(part in {".", ".."} for part in parts):
        return "contains . or .."
    if "" in parts:
        return "contains an empty part"
    if "\\" in path or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        return "holds a backslash or a control character"
    return None


_CHECKS = {"hf": _check_hub, "ngc": _check_ngc, "s3": _check_s3, "file": _check_file}

Source = Annotated[str, AfterValidator(checked_source)]
BucketName = Annotated[str, AfterValidator(_checked_bucket)]


def split_revision(source: str) -> tuple[str, str | None]:
    """Split a source into its location and its revision.

    `hf://org/name@rev` has a branch, a tag or a commit. For the other schemes the only revision is the digest
    of a listing: `s3://bucket/prefix@<64 hex>`. NGC's version belongs to the location, because what a version
    holds may be replaced: `ngc://org/model@1.0@<64 hex>`.
    """
    location, at, revision = source.rpartition("@")
    if at and (source.startswith("hf://") or LISTING.match(revision)):
        return location, revision
    return source, None


def is_pinned(source: str) -> bool:
    """True when the source names immutable content: a commit of git, or the digest of a listing."""
    revision = split_revision(source)[1]
    if revision is None:
        return False
    return bool((COMMIT if source.startswith("hf://") else LISTING).match(revision))
