"""A text in the pieces that are spoken one after another.

Belongs here: where a text is cut. Does not: speaking it (speakers.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Longer ones would keep a client waiting for their first sound, and go on after it has hung up.
LONGEST = 400

_END_OF_SENTENCE = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")  # noqa: RUF001 - Chinese ends, too
_WITHIN = re.compile(r"(?<=[,;:])\s+|\s+")


def sentences(text: str) -> Iterator[str]:
    """Sentences of a text, none longer than LONGEST; what has no sound in it is left out."""
    for sentence in _END_OF_SENTENCE.split(text):
        if sentence.strip():
            yield from _pieces(sentence.strip())


def _pieces(sentence: str) -> Iterator[str]:
    piece = ""
    for word in _WITHIN.split(sentence):
        for part in (word[at : at + LONGEST] for at in range(0, len(word), LONGEST)):
            if piece and len(piece) + 1 + len(part) > LONGEST:
                yield piece
                piece = part
            else:
                piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece
