"""Weights: the hub and the store behind one resource.

Belongs here: building the domain's clients. Does not: what a pull is (slipway.artifacts).
"""
