"""Container registries, real ones, what they hold, and whom they let in.

Belongs here: their processes, images that are known to the byte, a token server.
Does not: fetching the programs (testbed.programs), what Slipway makes of them (tests/services/images).
"""
