"""Asking a revision as a client would, before any tenant reaches it.

Belongs here: the questions of each task, and whether the answers are good. Does not: what follows from them
(slipway.control).
"""
