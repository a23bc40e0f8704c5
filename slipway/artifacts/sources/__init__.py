"""Where artifacts come from: a hub, NGC, S3, files; one module per kind of source.

Belongs here: resolving a revision, listing files, reading ranges, in each source's own protocol.
Does not: moving bytes into the store (slipway.artifacts.transfer), what is published
(slipway.artifacts.weights).
"""
