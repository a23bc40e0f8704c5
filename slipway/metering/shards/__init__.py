"""A warehouse that is spread over several files, each with a writer of its own.

Belongs here: taking usage in once for all of them, rolling a shard up, bringing what they have together.
Does not: the rows themselves, which are those of one warehouse (slipway.metering.rollup), the view over all
(slipway.metering.sharded).
"""
