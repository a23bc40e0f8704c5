"""Benchmarks: each is a command that starts what it measures, prints a ratio, and leaves nothing running.

Belongs here: measuring. Does not: promises that a test keeps (tests/).
"""
