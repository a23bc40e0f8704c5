"""Which digest an S3 store vouches for of an object: its sha256, an MD5, or none.

Belongs here: the reading of entity tags and checksum headers. Does not: asking for them (s3_source.py).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from slipway.artifacts.source import Digest

_MD5 = re.compile(r"^[0-9a-f]{32}$")


def listed_digest(etag: str, head: Mapping[str, Any]) -> Digest | None:
    """The digest by an object's entity tag and its HeadObject answer (boto3's names).

    A sha256 counts when it is of the whole object, not of its parts' checksums. An entity tag is the MD5 of
    the content unless it was uploaded in parts (`...-N`) or encrypted with a key that is not the store's own
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
    """
    sha256 = head.get("ChecksumSHA256")
    if sha256 and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in sha256:
        try:
            content = base64.b64decode(sha256, validate=True)
        except binascii.Error:
            content = b""
        if len(content) == 32:
            return Digest("sha256", content.hex())
    encryption = head.get("ServerSideEncryption")
    if head.get("SSECustomerAlgorithm") or encryption not in {None, "AES256"}:
        return None
    tag = etag.strip('"')
    return Digest("md5", tag) if _MD5.match(tag) else None
