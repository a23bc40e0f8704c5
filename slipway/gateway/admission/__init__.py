"""Whether a request may go on: keys, sharing, limits, and what it may cost at most.

Belongs here: decisions before an engine is asked. Does not: the shape of the answer (slipway.gateway.api).
"""
