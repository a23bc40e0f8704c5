"""One API server: connecting, calls, what its refusals mean, watching.

Belongs here: what any object of any kind needs. Does not: what a rollout does with objects
(slipway.dataplane.kubernetes.objects).
"""
