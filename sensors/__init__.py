"""Dagster sensors: what makes Slipway act without a person.

Belongs here: reading desired and observed state, asking a pure function what to do, requesting runs.
Does not: the repairs themselves (assets).
"""
