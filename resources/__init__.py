"""Dagster resources: thin wrappers that build the domain's clients from the process environment.

Belongs here: one resource per kind of server, connecting when a run or a tick uses it.
Does not: what is done with a client (slipway), or when (assets, sensors).
"""
