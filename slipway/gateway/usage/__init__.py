"""What a request leaves behind: the usage event, its spool, shipping it to the object store.

Belongs here: from a call to an object in S3. Does not: the event's schema (slipway.records.usage), rating
(slipway.metering).
"""
