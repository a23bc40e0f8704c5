"""The API that tenants speak: paths, shapes of bodies and errors, streams.

Belongs here: what a request and a reply look like.
Does not: who may ask (slipway.gateway.admission), where it goes (slipway.gateway.routing).
"""
