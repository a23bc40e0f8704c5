"""The data plane of a Ray cluster without Kubernetes: Ray Serve through its REST API.

Belongs here: calls to Ray's dashboard, and the plane on top of them. Does not: what an application looks like
or when it serves (slipway.runtimes.ray).
"""
