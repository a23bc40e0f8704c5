"""Published weights: pulling, inspecting, their manifest, claims, verification and garbage collection.

Belongs here: what lies under `weights/` in the store.
Does not: how bytes travel (slipway.artifacts.transfer), copies on nodes (slipway.artifacts.node).
"""
