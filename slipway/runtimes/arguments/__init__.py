"""Engine arguments of a deployment: read once, the same for every runtime, and judged against its fields.

Belongs here: how arguments are written, which options there are, which of them are Slipway's own to say.
Does not: what a runtime adds to them (slipway.runtimes.rendering, the runtimes' rooms).
"""
