"""`slipway ...`: groups of commands, one module each, which slipway.commands.main puts together.

Belongs here: arguments, printing, exit codes. Does not: doing the work (the packages that they call).
"""
