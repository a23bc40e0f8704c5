"""One tenant request from body to last byte, in stages: parse, route, admit, forward, record.

Belongs here: a module per stage, what passes between them, and the frame that runs them (frame.py).
Does not: what a stage asks (bodies: slipway.gateway.api; keys and limits: slipway.gateway.admission; engines:
slipway.gateway.routing; events: slipway.gateway.usage).
"""
