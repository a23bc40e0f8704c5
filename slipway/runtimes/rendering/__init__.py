"""Pieces that several renderers share: identity, pods, policies, scaling, telemetry, what a cluster is like.

Belongs here: pure functions and values of rendering. Does not: one runtime's objects (its room), what stands
around deployments (slipway.runtimes.cluster).
"""
