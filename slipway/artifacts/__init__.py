"""Weights and images: from where they were published to the local store and registry, and on to a node.

Belongs here: where they come from (sources), moving bytes (transfer), what lies here and how long (weights,
images), verified copies beside engines (node).
Does not: what should be served (slipway.catalog), or what an engine does with the files (slipway.engines).
"""
