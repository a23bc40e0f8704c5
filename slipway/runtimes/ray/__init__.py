"""Runtime `ray`: Ray Serve without Kubernetes.

Belongs here: everything that is particular about it: rendering, refusals, names, judging. Pure.
Does not: talking to a cluster (slipway.dataplane).
"""
