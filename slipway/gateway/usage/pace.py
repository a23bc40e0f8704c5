"""How fast deployments answer: what bounds the tokens of an answer that nobody has counted by its time.

Belongs here: the fastest pace that was seen lately. Does not: when that is asked for (call.py).
"""

from __future__ import annotations

import math

_UNSEEN_TOKENS_PER_S = 100.0
# A short answer says little of a pace: its time is that of reading the prompt, or of nothing.
_LEAST_TOKENS = 16
# What was fastest once is forgotten over some hundred answers.
_KEPT = 0.99


class Paces:
    """Tokens per second of a whole request, from its reaching an engine to its end, per deployment."""

    def __init__(self) -> None:
        self._fastest: dict[str, float] = {}

    def note(self, deployment: str, tokens: int, duration_s: float) -> None:
        """An answer of so many tokens, counted by its engine, took so long."""
        if tokens >= _LEAST_TOKENS and duration_s > 0:
            kept = self._fastest.get(deployment, 0.0) * _KEPT
            self._fastest[deployment] = max(kept, tokens / duration_s)

    def most(self, deployment: str, duration_s: float) -> int:
        """Tokens that no recent answer of the deployment exceeded in such a time."""
        return math.ceil(self._fastest.get(deployment, _UNSEEN_TOKENS_PER_S) * max(0.0, duration_s))
