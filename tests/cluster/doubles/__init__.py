"""Test doubles of operators that cannot be had as modules: they play the status transitions of the real ones.

Belongs here: what each operator makes and says, and when, the misleading moments included; as runtimes.md says.
Does not: anything that Slipway does. None of these is the operator: see docs/cluster.md for what was seen of those.
"""
