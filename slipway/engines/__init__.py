"""Ray Serve applications that host an engine where Ray's own builders do not serve.

Belongs here: loading an engine in a replica, its arguments, and the OpenAI API in front of it.
Does not: what a Serve configuration looks like (slipway.runtimes) or how it gets there (slipway.dataplane).
"""
