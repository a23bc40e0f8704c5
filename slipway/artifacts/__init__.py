"""Weights: from where they were published to the local store, verified, and from there to a node.

Belongs here: sources, transfer, verification, manifests, and the node cache.
Does not: what should be served (slipway.catalog), or what an engine does with the files.
"""
