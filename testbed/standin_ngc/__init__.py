"""A stand-in for NVIDIA's NGC catalog: the part of its REST API that Slipway reads, over loopback.

Belongs here: model versions with content that we make ourselves, keys and tokens, faults on demand.
Does not: anything that production imports; `SLIPWAY_NGC_URL` points the same client at the real one.
"""

from testbed.standin_ngc.models import NgcModel, NgcVersion
from testbed.standin_ngc.server import StandinNgc

__all__ = ["NgcModel", "NgcVersion", "StandinNgc"]
