"""Self-service in the shape of OpenAI's administration API: what an admin key sees and changes.

Belongs here: paths below /v1/organization, their parameters, pages and objects, usage and costs.
Does not: the tenants' database (slipway.tenants), limits being held (slipway.gateway.admission).
"""
