"""The first stage: a request's body becomes what it asks for, or is refused.

Belongs here: reading the body once, and what later stages want to know of it as the client wrote it.
Does not: what a field must look like (slipway.gateway.api.bodies), whether the model exists (route.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.gateway.api import asgi, bodies
from slipway.gateway.api.answers import Wants
from slipway.gateway.api.asgi import Receive
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.forms import FormUpload
from slipway.gateway.api.operations import Operation
from slipway.gateway.usage.call import Call


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for. `body` is its own, into which later stages write what the engine must know."""

    operation: Operation
    body: Body
    wants: Wants
    several_prompts: bool


async def parse(operation: Operation, receive: Receive | FormUpload, call: Call) -> Asked:
    """Read and check the body, of a form what comes before its file; `call` learns of it as far as that goes.

    Raises ApiError, ClientGone.
    """
    body: Body
    if isinstance(receive, FormUpload):
        body = await receive.read_head()
    else:
        body = bodies.parse(await asgi.read_body(receive))
    call.model = bodies.model_of(body)
    operation.check(body)
    call.stream = operation.is_streamed(body)
    return Asked(
        operation, body, operation.wants(body), several_prompts=len(operation.reads.prompts(body)) > 1
    )
