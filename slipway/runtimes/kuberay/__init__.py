"""Runtime `kuberay`: a RayService per namespace, an application per deployment.

Belongs here: everything that is particular about it: rendering, refusals, names, judging. Pure.
Does not: talking to a cluster (slipway.dataplane).
"""
