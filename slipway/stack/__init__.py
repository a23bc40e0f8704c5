"""The embedded default: starts, watches and stops the servers that a demo or a laptop needs.

Belongs here: the servers' command lines, their order, health and state under `.slipway/`.
Does not: anything that production imports; only the command line, tests and testbed import it.
"""
