"""Embeddings and reranking: ONNX Runtime with a `tokenizers` tokenizer, behind OpenAI's and Jina's shapes.

Belongs here: loading a model's two files, batches, the two APIs. Does not: what all engines share
(slipway.engines).
"""
