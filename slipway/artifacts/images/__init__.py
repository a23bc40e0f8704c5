"""Engine images: from their registries to the local one, by digest, with what is attached to them.

Belongs here: the registry protocol, mirroring, its records, retention.
Does not: weights (slipway.artifacts.weights), connections, retries and progress (slipway.artifacts.transfer),
which image a deployment asks for (slipway.catalog).
"""
