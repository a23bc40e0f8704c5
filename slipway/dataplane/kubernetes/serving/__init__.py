"""Whether a revision serves: truly, not likely. One module per kind of workload.

Belongs here: verdicts over observed objects, as pure functions; which objects each needs to see.
Does not: observing them (slipway.dataplane.kubernetes.api.watch).
"""
