"""Whether models fit the GPU memory that their deployments ask for, with the arithmetic shown.

Belongs here: the arithmetic, what is known of weights without a server, which deployments are judged.
Does not: pulling weights (slipway.artifacts).
"""
