"""What may be done with a catalog, for Dagster, the command line and the SDK alike.

Belongs here: check, fit, plan, the drift decision, a deployment's stages, rolling back, samples of replicas.
Does not: how a stage works on a cluster (slipway.dataplane), printing (slipway.commands), Dagster's words.
"""
