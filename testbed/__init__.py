"""What tests and benchmarks start: a cluster, registries, stores, stand-ins, engines that misbehave.

Belongs here: servers and programs that are a product of their own, started and ended by whoever needs them.
Does not: promises about Slipway (tests), figures (bench), the demo's hub (slipway.stack.standin_hub). Slipway
never imports it, and it is never installed.
"""
