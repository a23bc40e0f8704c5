"""Dagster assets: the life of a model, one module per stage.

Belongs here: what Dagster must know of a stage (key, dependencies, pool, retries, checks, metadata).
Does not: how a stage is done (slipway), or what triggers it (sensors, pipelines).
"""
