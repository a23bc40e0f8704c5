"""All data planes of an environment as one: connecting them, choosing one for a deployment.

Belongs here: which variables make which plane, and the choice. Does not: what a plane does
(slipway.dataplane.ray, slipway.dataplane.kubernetes).
"""
