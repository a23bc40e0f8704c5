"""How it is known that the store holds the bytes that were sent to it.

Belongs here: checksums, entity tags, and finding out what a store checks itself.
Does not: the digests that a source lists (digests.py).

Comparing a part's MD5 with its entity tag proves it with any store, and costs more CPU than all the rest.
A CRC32 costs a seventh, but then the store must be the one who compares. Whether it does is not believed,
but tried once in each run, with a part that is sent under a wrong checksum and must be refused.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence

_MD5 = re.compile(r"^[0-9a-f]{32}$")
# Stores name it differently; none of them is an answer to anything but a checksum that does not match.
MISMATCH_CODES = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})


def crc32(body: memoryview) -> str:
    """CRC32 as S3's `x-amz-checksum-crc32` wants it: big-endian, in base64."""
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def fingerprint(body: memoryview, *, by: str) -> str:
    """What tells these bytes from a damaged copy of them: `crc32` or `md5`, whichever was computed anyway."""
    if by == "crc32":
        return f"crc32:{crc32(body)}"
    return f"md5:{hashlib.md5(body, usedforsecurity=False).hexdigest()}"


def is_same(fingerprinted: str, body: memoryview) -> bool:
    """Whether these bytes have that fingerprint."""
    return fingerprint(body, by=fingerprinted.partition(":")[0]) == fingerprinted


def proves(etag: str, md5_hex: str, headers: Mapping[str, str]) -> bool | None:
    """True when the entity tag is this MD5, False when it is another one, None when it is no MD5 at all."""
    tag = etag.strip('"')
    # An encrypting store answers the MD5 of what it wrote, which is something else.
    encrypted = any(name.lower().startswith("x-amz-server-side-encryption") for name in headers)
    if encrypted or not _MD5.match(tag):
        return None
    return tag == md5_hex


def proves_whole(etag: str, part_etags: Sequence[str]) -> bool:
    """True when the entity tag is the one of exactly these parts: MD5 of their MD5s, and their number."""
    tags = [each.strip('"') for each in part_etags]
    if not all(_MD5.match(tag) for tag in tags):
        return False
    md5 = hashlib.md5(b"".join(map(bytes.fromhex, tags)), usedforsecurity=False).hexdigest()
    return etag.strip('"') == f"{md5}-{len(tags)}"
