"""Forms cut into pieces wherever their bytes are cut, and written anew."""

import pytest

from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.multipart import FormSplitter, FormWriter, Part, Piece, boundary_of

WRITER = FormWriter()
FILE = Part("file", 'a "quoted"\\ \u3000 name.wav', "audio/wav")
SOUND = b"x" * 5_000 + b"\r\n--slipway-\r\n" + b"\r" * 500
FORM = WRITER.field(Part("model"), b"chat") + WRITER.head(FILE) + SOUND + b"\r\n" + WRITER.end


def pieces_of(form: bytes, piece_bytes: int) -> list[Piece]:
    splitter = FormSplitter(boundary_of(WRITER.content_type))
    found = []
    for at in range(0, len(form), piece_bytes):
        found += splitter.feed(form[at : at + piece_bytes])
    splitter.end()
    return found


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 17, 1_000, 10**6])
def test_what_is_written_is_read_again_wherever_it_is_cut(piece_bytes):
    found = pieces_of(FORM, piece_bytes)
    assert [piece for piece in found if isinstance(piece, Part)] == [Part("model"), FILE]
    assert b"".join(piece for piece in found if isinstance(piece, bytes)) == b"chat" + SOUND


def test_an_epilogue_is_passed_over():
    assert pieces_of(FORM + b"\r\nepilogue", 7) == pieces_of(FORM, 7)


@pytest.mark.parametrize("missing", [1, 3, 10, 100, 5_000])
def test_a_form_that_is_cut_off_is_refused(missing):
    with pytest.raises(ApiError, match="closing boundary") as refused:
        pieces_of(FORM[: -missing - 2], 1_000)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Disposition: form-data",
        b"Content-Disposition: attachment; name=a",
        b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="model"',
        b'Content-Disposition: form-data; name="\xff"',
        b'Content-Disposition: form-data; name="a\nb"',
        b'Content-Disposition: form-data; name=""',
        b"Content-Type: text/plain",
        b"no colon",
        b"X: " + b"y" * 10_000,
        b"\r\n".join(b"X%d: y" % number for number in range(20)),
    ],
)
def test_a_part_whose_head_could_be_read_in_two_ways_is_refused(head):
    boundary = boundary_of(WRITER.content_type)
    with pytest.raises(ApiError) as refused:
        FormSplitter(boundary).feed(b"--%s\r\n%s\r\n\r\nx\r\n--%s--" % (boundary, head, boundary))
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=a",
        "multipart/form-data; boundary=" + "x" * 201,
    ],
)
def test_a_type_without_a_boundary_is_refused(content_type):
    with pytest.raises(ApiError) as refused:
        boundary_of(content_type)
    assert refused.value.status == 400


def test_a_boundary_may_be_quoted():
    assert boundary_of('multipart/form-data; charset=utf-8; boundary="a b;c"') == b"a b;c"
