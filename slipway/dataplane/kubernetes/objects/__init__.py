"""Objects of a revision: what differs, applying, pruning, whose a field is.

Belongs here: plans over objects and carrying them out. Does not: whether a revision serves
(slipway.dataplane.kubernetes.serving).
"""
