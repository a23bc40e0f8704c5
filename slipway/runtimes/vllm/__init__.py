"""Runtime `vllm`: an engine in plain pods, a Deployment or a LeaderWorkerSet.

Belongs here: everything that is particular about it: rendering, refusals, names, judging. Pure.
Does not: talking to a cluster (slipway.dataplane).
"""
