import base64
import hashlib

import pytest

from slipway.artifacts.source import Digest
from slipway.artifacts.sources.s3 import listed_digest

BODY = b"content"
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY)
WRITTEN = base64.b64encode(SHA256.digest()).decode()


@pytest.mark.parametrize(
    ("etag", "head", "expected"),
    [
        (f'"{MD5}"', {}, Digest("md5", MD5)),
        (MD5, {"ServerSideEncryption": "AES256"}, Digest("md5", MD5)),
        (f'"{MD5}"', {"ServerSideEncryption": "aws:kms"}, None),
        (f'"{MD5}"', {"SSECustomerAlgorithm": "AES256"}, None),
        (f'"{MD5}-3"', {}, None),
        ('"an opaque tag"', {}, None),
        (f'"{MD5}-3"', {"ChecksumSHA256": WRITTEN}, Digest("sha256", SHA256.hexdigest())),
        (
            f'"{MD5}-3"',
            {"ChecksumSHA256": WRITTEN, "ChecksumType": "FULL_OBJECT"},
            Digest("sha256", SHA256.hexdigest()),
        ),
        (f'"{MD5}-3"', {"ChecksumSHA256": WRITTEN, "ChecksumType": "COMPOSITE"}, None),
        (f'"{MD5}-3"', {"ChecksumSHA256": f"{WRITTEN}-3"}, None),
        (f'"{MD5}"', {"ChecksumSHA256": "not base64"}, Digest("md5", MD5)),
    ],
)
def test_a_digest_counts_only_where_it_is_of_the_whole_content(
    etag: str, head: dict[str, str], expected: Digest | None
) -> None:
    assert listed_digest(etag, head) == expected
