"""Pieces that several judges share: what is seen of a cluster, pods, Deployments, and the verdict.

Belongs here: pure functions and values of judging whether a revision serves.
Does not: one runtime's judgement (its room), watching a cluster (slipway.dataplane.kubernetes).
"""
