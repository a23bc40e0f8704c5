"""What can go wrong with the embedded stack, as one message for a person.

Belongs here: exception types. Does not: deciding when to raise them.
"""

from __future__ import annotations


class StackError(RuntimeError):
    """The stack cannot start, stop or become ready; the message names service, cause and remedy."""
