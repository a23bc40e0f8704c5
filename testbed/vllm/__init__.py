"""Real vLLM on CPU, and other engines of the field: environments of their own, models of random weights.

Belongs here: installing them outside of the tree, making models, starting a server as a manifest says.
Does not: what they are asked (tests/vllm), engines that are no real ones (testbed/engines).
"""
