"""What Ray Serve without Kubernetes says of itself as a runtime.

Belongs here: the adapter. Does not: its data plane (slipway.dataplane.ray).
"""

from __future__ import annotations

from slipway.catalog.servers import LLAMA_CPP, OURS
from slipway.runtimes.adapter import Adapter, Example
from slipway.runtimes.ray import render

ADAPTER = Adapter(
    servers=frozenset(render.APPLICATIONS),
    without_image=frozenset(OURS),
    refusals=render.refusals,
    application=render.render,
    example=Example(server=LLAMA_CPP),
)
