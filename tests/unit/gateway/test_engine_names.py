"""An engine's own name in its words: whole names are the tenant's instead, parts of words stay."""

import pytest

from slipway.gateway.routing import engine_names

OWN = "chat-1a2b3c4d"


@pytest.mark.parametrize(
    ("own", "said", "read"),
    [
        ("text", "`text` has a maximum context length", "`NAME` has a maximum context length"),
        ("text", "the text is too long for 'text'", "the text is too long for 'NAME'"),
        ("x", "max_tokens exceeds what x has", "max_tokens exceeds what x has"),
        (OWN, f"The model {OWN} does not exist.", "The model NAME does not exist."),
        (OWN, f'"{OWN}": {OWN}, {OWN}', '"NAME": NAME, NAME'),
        (OWN, f"{OWN}_tone, {OWN}:a/b, org/{OWN}, my-{OWN}, {OWN}.gguf", None),
        ("a.b+c", "a.b+c, not aXb+c nor aabbc", "NAME, not aXb+c nor aabbc"),
        ("meta/llama-3.1", "no meta/llama-3.1.", "no NAME."),
    ],
)  # fmt: skip
def test_a_name_is_replaced_where_it_is_whole(own: str, said: str, read: str | None) -> None:
    assert engine_names.renamed(said, own, "NAME") == (said if read is None else read)


def test_a_name_with_what_a_pattern_means_is_taken_as_it_is() -> None:
    assert engine_names.renamed("the model `m-1`", "m-1", r"a\1\g<0>") == r"the model `a\1\g<0>`"


@pytest.mark.parametrize(
    ("said", "is_said"),
    [("Not Found", False), ("The model x is none.", True), ("exceeds", False), ('{"m":"x"}', True)],
)
def test_a_part_of_a_word_is_no_name(said: str, is_said: bool) -> None:
    assert engine_names.is_said(said, "x") is is_said
