"""Runtime `kubeai`: a Model of KubeAI.

Belongs here: everything that is particular about it: rendering, refusals, names, judging. Pure.
Does not: talking to a cluster (slipway.dataplane).
"""
