"""What documents owe each other, judged offline from the whole catalog.

Belongs here: references, names, contradictions, and what an API server would refuse; for every runtime alike.
Does not: what one runtime cannot honour (slipway.runtimes), reading files (slipway.catalog.files).
"""
