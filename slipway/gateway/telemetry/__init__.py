"""What a gateway replica says of itself: logs and live metrics.

Belongs here: their format and names. Does not: usage events (slipway.gateway.usage).
"""
