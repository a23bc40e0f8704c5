"""A real Kubernetes for tests: control plane, a node, fake nodes on demand, operators that build as modules.

Belongs here: building it, starting it, taking it down from whatever state it is in.
Does not: promises about Slipway (tests/cluster), or anything that production imports.
"""
