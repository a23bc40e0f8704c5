"""The demo: a real model from the hub to a bill, seen from outside, as a person would see it.

Belongs here: driving the embedded stack through its public faces and checking what they say.
Does not: anything that a deployment needs; only the command line and tests import it.
"""
