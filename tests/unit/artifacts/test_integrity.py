import hashlib

from slipway.artifacts.transfer import integrity

MD5 = hashlib.md5(b"body", usedforsecurity=False).hexdigest()
OTHER = hashlib.md5(b"other", usedforsecurity=False).hexdigest()


def test_an_entity_tag_that_is_the_md5_proves_what_was_sent() -> None:
    assert integrity.proves(f'"{MD5}"', MD5, {}) is True
    assert integrity.proves(f'"{OTHER}"', MD5, {}) is False


def test_an_entity_tag_that_is_no_md5_of_the_body_proves_nothing() -> None:
    assert integrity.proves(f'"{MD5}-1"', MD5, {}) is None
    assert integrity.proves("", MD5, {}) is None
    assert integrity.proves(f'"{OTHER}"', MD5, {"X-Amz-Server-Side-Encryption": "aws:kms"}) is None


def test_a_multipart_tag_proves_exactly_its_parts() -> None:
    joined = hashlib.md5(bytes.fromhex(MD5) + bytes.fromhex(OTHER), usedforsecurity=False).hexdigest()
    assert integrity.proves_whole(f'"{joined}-2"', [f'"{MD5}"', OTHER])
    assert not integrity.proves_whole(f'"{joined}-2"', [OTHER, MD5])
    assert not integrity.proves_whole(f'"{joined}"', [MD5, OTHER])
    assert not integrity.proves_whole(f'"{joined}-2"', [f"{MD5}-8", OTHER])


def test_crc32_is_written_as_s3_writes_it() -> None:
    """The check value of CRC-32 over "123456789" is 0xCBF43926."""
    assert integrity.crc32(memoryview(b"123456789")) == "y/Q5Jg=="
