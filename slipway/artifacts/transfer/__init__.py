"""Moving bytes: ranged reads, digests, uploads, retry, progress; the same for every source and for images.

Belongs here: what a transfer needs, whatever is transferred. Does not: a source's protocol
(slipway.artifacts.sources), what makes files into weights (slipway.artifacts.weights).
"""
