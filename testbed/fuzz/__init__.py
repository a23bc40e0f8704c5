"""Fuzzing the gateway: mutated requests, engines that misbehave, and what must hold whatever comes.

Belongs here: making requests from a seed, sending them, judging what comes back and what is left.
Does not: how an engine misbehaves (testbed.engines). Nothing leaves the loopback interface.
"""
