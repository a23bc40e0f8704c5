"""Billing's inputs: the catalog's prices as a table of the warehouse, and organisations as tenants.

Belongs here: assets that mirror a part of the catalog. Does not: rating (slipway.metering).
"""
