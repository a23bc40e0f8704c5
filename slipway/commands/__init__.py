"""`slipway ...`: groups of commands, one module each, which slipway.cli puts together.

Belongs here: arguments, printing, exit codes. Does not: doing the work (the packages that they call).
"""
