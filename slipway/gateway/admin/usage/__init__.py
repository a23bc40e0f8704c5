"""What an organization used and what it cost, from the copies that metering publishes.

Belongs here: what may be asked, buckets and their pages, reading published Parquet, the results' shapes.
Does not: where Parquet lies (slipway.records.published_usage), who may ask (slipway.gateway.admin).
"""
