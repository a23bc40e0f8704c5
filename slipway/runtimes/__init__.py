"""One module per runtime, each a pure function: a resolved deployment -> what its cluster is given.

Belongs here: rendering, and saying which fields a runtime cannot honour.
Does not: talking to a cluster (slipway.dataplane).
"""
