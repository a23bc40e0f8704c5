"""Kubernetes as a data plane: diff, apply, watch, judge, explain, remove.

Belongs here: everything that talks to an API server, and the pure decisions that it follows.
Does not: what the objects look like (slipway.runtimes), the order of a rollout (slipway.control.rollout).
"""
