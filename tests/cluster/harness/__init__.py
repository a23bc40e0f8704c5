"""A real Kubernetes for tests: control plane, a node, fake nodes on demand, operators that build as modules.

Belongs here: building it, starting it, taking it down from whatever state it is in.
Does not: promises about Slipway (the tests beside this package), or anything that production imports.
"""
