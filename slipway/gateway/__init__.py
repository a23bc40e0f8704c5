"""The tenant gateway: one OpenAI API in front of every deployment, for tenants with API keys.

Belongs here: authentication, sharing, limits, routing, streaming, and the usage event of every request.
Does not: TLS and public addresses (in front of it), rating (slipway.metering, which shares
slipway.records.usage).
"""
