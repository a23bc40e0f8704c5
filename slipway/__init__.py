"""The domain of Slipway: everything that can be said without Dagster.

Belongs here: catalog, artifacts, runtimes, data plane, gateway, tenants, metering, embedded stack.
Does not: assets, sensors, schedules or anything else that imports dagster.
"""
