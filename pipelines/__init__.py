"""The Dagster code location: everything assembled.

Belongs here: build_definitions(), jobs and schedules. Does not: assets, sensors or resources themselves.
"""
