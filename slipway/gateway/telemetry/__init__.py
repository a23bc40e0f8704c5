"""What a gateway replica says of itself: logs, live metrics, traces.

Belongs here: their format and names. Does not: usage events (slipway.gateway.usage).
"""
