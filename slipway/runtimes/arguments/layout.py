"""How a replica's cards are divided: tensors, layers and copies, from the deployment's fields and arguments.

Belongs here: the numbers, which multiply to the cards that the replica has, and why they cannot. Pure.
Does not: saying them to an engine (slipway.runtimes.rendering.vllm_args, the runtimes' rooms).
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.catalog.deployment import Deployment
from slipway.runtimes.arguments import parsing

TENSOR, PIPELINE, DATA = "tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size"
PREFILL_CONTEXT = "prefill-context-parallel-size"
EXPERT = "enable-expert-parallel"
FIELDS = {TENSOR: "tensor", PIPELINE: "pipeline", DATA: "data"}


@dataclass(frozen=True)
class Layout:
    """Cards of one replica and their division.

    Each layer goes over `tensor` of them, layers over `pipeline` groups of these, and there are `data` copies
    of that; `context` is vLLM's division of a prompt.
    """

    cards: int
    tensor: int
    pipeline: int = 1
    data: int = 1
    context: int = 1

    @property
    def asked(self) -> int:
        """Cards that the engine would take."""
        return self.tensor * self.pipeline * self.data * self.context

    @property
    def arithmetic(self) -> str:
        """The product, for people."""
        parts = {"tensor": self.tensor, "pipeline": self.pipeline, "data": self.data, "context": self.context}
        return " x ".join(f"{name} {count}" for name, count in parts.items() if count > 1) or "tensor 1"


def of(deployment: Deployment) -> Layout:
    """What is written, and of the rest: layers over nodes, tensors over the cards that are left."""
    per_node, nodes = deployment.cards or 1, deployment.nodes_per_replica
    cards = per_node * nodes
    tensor, pipeline, data = (written(deployment, option) for option in (TENSOR, PIPELINE, DATA))
    copies, context = data or 1, written(deployment, PREFILL_CONTEXT) or 1
    if tensor is None and pipeline is None and copies == context == 1:
        return Layout(cards, per_node, nodes)
    if tensor is None:
        groups = pipeline or (nodes if copies == 1 else 1)
        return Layout(cards, max(cards // (groups * copies * context), 1), groups, copies, context)
    if pipeline is None:
        pipeline = max(cards // (tensor * copies * context), 1) if nodes > 1 and copies == 1 else 1
    return Layout(cards, tensor, pipeline, copies, context)


def written(deployment: Deployment, option: str) -> int | None:
    """One number of the division, from the field, else from the arguments."""
    field = FIELDS.get(option)
    given = getattr(deployment.parallelism, field) if field is not None else None
    if given is not None:
        return int(given)
    text = parsing.parse(deployment.args).value(option)
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else None
