"""What revisions do in a cluster: waiting until one serves, what is live, parked, and why one does not serve.

Belongs here: looking, and asking a runtime's judge. Does not: any judgement (slipway.runtimes), changing
objects (slipway.dataplane.kubernetes.objects).
"""
