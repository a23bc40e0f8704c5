"""Brings a cluster to the catalog's spec: diff, apply, wait, status, roll back, delete.

Belongs here: clients of clusters, what "serving" means, revisions, rollouts and their validation.
Does not: what the objects look like (slipway.runtimes), what Dagster knows of it (assets).
"""
