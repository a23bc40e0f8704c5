"""What runs in a replica of Slipway's own: an engine behind an OpenAI API, in Ray Serve or as a process.

Belongs here: fetching weights, loading an engine, its arguments, and the API in front of it.
Does not: what a Serve configuration looks like (slipway.runtimes) or how it gets there (slipway.dataplane).
"""
