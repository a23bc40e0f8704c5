"""Where a request goes: the route table in use, replicas, connections to engines.

Belongs here: choosing and reaching an upstream. Does not: making the table (slipway.control).
"""
