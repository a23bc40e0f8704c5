"""A cross-encoder in GGUF of some KB, made up: it ranks, and there is no sense in how.

Belongs here: making the file. Does not: serving it (slipway.engines).
"""

from __future__ import annotations

from pathlib import Path

# Words of its vocabulary, behind the tokens that BERT has for itself.
_WORDS = ("the", "capital", "of", "france", "is", "paris", "bees", "make", "honey", "what", ".", "?")
_WIDTH, _INNER, _HEADS, _CONTEXT = 32, 64, 2, 256


def write(path: Path) -> Path:
    """Write the file, the same each time."""
    import gguf
    import numpy as np

    random = np.random.default_rng(1)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"\u2581{word}" for word in _WORDS)]
    writer = gguf.GGUFWriter(str(path), "bert")
    writer.add_block_count(1)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.RANK)
    writer.add_classifier_output_labels(["LABEL_0"])
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * len(_WORDS))
    writer.add_token_type_count(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.3, shape).astype(np.float32))

    def add_layer(name: str, rows: int, columns: int) -> None:
        add(f"{name}.weight", rows, columns)
        add(f"{name}.bias", rows)

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(_WIDTH, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(_WIDTH, np.float32))

    add("token_embd.weight", len(tokens), _WIDTH)
    add("token_types.weight", 2, _WIDTH)
    add("position_embd.weight", _CONTEXT, _WIDTH)
    add_norm("token_embd_norm")
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        add_layer(f"blk.0.{part}", _WIDTH, _WIDTH)
    add_norm("blk.0.attn_output_norm")
    add_layer("blk.0.ffn_up", _INNER, _WIDTH)
    add_layer("blk.0.ffn_down", _WIDTH, _INNER)
    add_norm("blk.0.layer_output_norm")
    add_layer("cls", _WIDTH, _WIDTH)
    add_layer("cls.output", 1, _WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
