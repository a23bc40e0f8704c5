"""The catalog as files: reading a directory of YAML with line numbers, JSON Schema, the reference page.

Belongs here: the way from text to documents and what describes it. Does not: rules between documents
(slipway.catalog.rules).
"""
