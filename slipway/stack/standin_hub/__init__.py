"""A stand-in for the Hugging Face Hub: its protocol over loopback, with content that we make ourselves.

Belongs here: repositories with real git commit ids, the endpoints that Slipway reads, faults on demand.
Does not: anything that production imports; `SLIPWAY_HUB_URL` points the same client at the real hub.
"""

from slipway.stack.standin_hub.faults import Fault
from slipway.stack.standin_hub.repository import Repository
from slipway.stack.standin_hub.server import StandinHub
from slipway.stack.standin_hub.xet import LocalXetStore

__all__ = ["Fault", "LocalXetStore", "Repository", "StandinHub"]
