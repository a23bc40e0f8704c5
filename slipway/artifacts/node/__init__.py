"""The node cache: verified copies of published weights beside the engines that read them.

Belongs here: entries, their locks and markers, making room. Does not: publishing (slipway.artifacts.weights).
"""
