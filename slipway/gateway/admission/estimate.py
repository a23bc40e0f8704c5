"""How many tokens a request may use at most, before any engine has seen it.

Belongs here: the tokens that a request asks of its limits, and binding its answer to what it was granted.
Does not: the bound of a prompt (slipway.gateway.api.prompts), what a template adds to it (template.py),
counting (limits.py); what is billed (the engine's own count).
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.gateway.admission.bounds import Bound
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.prompts import Reads

# An answer without max_tokens: a quarter of the tightest limit, so that one request cannot hold all of it;
# not more than this, because engines refuse what exceeds their context; less when less is left.
_DEFAULT_OUTPUT_TOKENS = 1_024
_LEAST_DEFAULT_TOKENS = 64
_LEAST_OUTPUT_TOKENS = 16

# Other engines' names for what `max_tokens` and `n` say; they would go past the limit.
_OTHER_NAMES = ("n_predict", "num_predict", "max_new_tokens", "n_cmpl")


@dataclass(frozen=True, slots=True)
class Demand:
    """Tokens a request asks for: its prompt at most, and its answers between two bounds."""

    prompt: int
    least_output: int
    most_output: int


def demand_of(reads: Reads, body: Body, bounds: tuple[Bound, ...], allowance: int) -> Demand | None:
    """What the request asks of its limits in tokens; None when it has none of those. Raises ApiError 400.

    `allowance` is for what a template adds to its prompt.
    """
    limits = [bound.limit for bound in bounds if bound.dimension == "tokens"]
    if not limits:
        return None
    reads.refuse_unbounded(body)
    prompt = allowance + reads.bound(body)
    answers = reads.answers(body)
    asked = reads.output_asked(body)
    if asked is not None:
        return Demand(prompt, asked * answers, asked * answers)
    default = min(_DEFAULT_OUTPUT_TOKENS, max(_LEAST_DEFAULT_TOKENS, min(limits) // 4))
    return Demand(prompt, _LEAST_OUTPUT_TOKENS * answers, default * answers)


def bind(reads: Reads, body: Body, granted_tokens: int) -> None:
    """Write the granted output tokens into the request, so that its engine cannot go past them."""
    if not reads.output:
        return
    for name in _OTHER_NAMES:
        body.pop(name, None)
    if body.get(reads.output[0]) is None:
        asked = reads.output_asked(body)
        body[reads.output[0]] = granted_tokens // reads.answers(body) if asked is None else asked
