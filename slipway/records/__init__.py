"""The objects in S3 that rooms share: revisions, routes, usage events, replica samples, prices.

Belongs here: key, schema, reading and writing of each, one module each; nobody reads another's object as raw
JSON. Does not: who writes them when (slipway.control, slipway.gateway), objects of one room alone.
"""
