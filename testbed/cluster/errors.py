"""What went wrong with the test cluster, for a person.

Belongs here: the one exception type. Does not: anything that the tests assert about Slipway.
"""


class ClusterError(Exception):
    """The cluster cannot be built, started or taken down; the message says what to do."""
