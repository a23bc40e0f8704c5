"""Engines without a model behind them: they answer as they are told to, wrongly, too.

Belongs here: HTTP servers in a thread of the test. Does not: doubles behind a cluster (tests/cluster/traps).
"""
