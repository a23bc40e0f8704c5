"""From usage events to latency, usage and money: one DuckDB warehouse, rolled up by the hour.

Belongs here: reading events, rating them, the warehouse's tables, its published copies and their queries.
Does not: how events come about (slipway.gateway), when an hour is rolled up (assets and sensors).
"""
