"""Models with random weights, a few hundred KB each: `python make_models.py DIRECTORY`, where vLLM is.

Belongs here: what makes vLLM take them for a model of each task: architecture, tokenizer, processor.
Does not: publishing them (tiny_models.py), anything of Slipway: this runs where Slipway is not installed.
Text that no tokenizer has seen is bytes to it, so a prompt's number of tokens is easily told.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

# The smallest head that vLLM's attention on CPU takes.
HEAD = 32
WIDTH = 2 * HEAD
LAYERS = 2
LONGEST = 1024
MORE_WORDS = 2000
LANGUAGES = ("en", "de", "fr")
CHAT_TEMPLATE = (
    "{% if tools %}<s>tools\n{{ tools | tojson }}</s>\n{% endif %}"
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
WORDS = ["the capital of france is paris and berlin is not", "a query about cities or rivers"] * 4


def main(directory: Path) -> None:
    """Each model in a folder of its own."""
    torch.manual_seed(7)
    torch.set_num_threads(1)
    make_text(directory / "text")
    make_adapter(directory / "adapter")
    make_bert(directory / "embedder", None)
    make_bert(directory / "reranker", 1)
    make_bert(directory / "classifier", 3)
    make_whisper(directory / "whisper")


def byte_level(special: list[str]) -> Tokenizer:
    """All 256 bytes, a few merges, and these special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(WORDS, trainer)
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Under the name that it has in every version of transformers; 5 writes one of its own."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    written = {**json.loads(path.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(written))


def make_text(folder: Path) -> None:
    """A llama."""
    trained = byte_level(["<unk>", "<s>", "</s>", "<pad>"])
    # Dynamo's mock of an engine says random tokens below some thousand; without, they would be no text.
    trained.add_tokens([f" w{number}" for number in range(MORE_WORDS)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=LONGEST,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD,
        num_key_value_heads=WIDTH // HEAD,
        max_position_embeddings=LONGEST,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        # Else all logits are nearly alike, and an adapter changes nothing that can be seen.
        initializer_range=0.5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


def make_adapter(folder: Path) -> None:
    """A LoRA adapter of the llama, strong enough to change what it says."""
    folder.mkdir(parents=True)
    rank = 8
    tensors = {}
    for layer in range(LAYERS):
        for name in ("q_proj", "v_proj"):
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{key}.lora_A.weight"] = torch.randn(rank, WIDTH)
            tensors[f"{key}.lora_B.weight"] = torch.randn(WIDTH, rank)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "text",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def make_bert(folder: Path, labels: int | None) -> None:
    """A BERT: an embedder without labels, a cross-encoder with one, a classifier with several."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(WORDS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    sep, cls = ((name, special.index(name)) for name in ("[SEP]", "[CLS]"))  # special tokens come first
    tokenizer.post_processor = processors.BertProcessing(sep, cls)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=512,
        initializer_range=0.3,
        **({"num_labels": labels} if labels else {}),
    )
    model = BertForSequenceClassification(config) if labels else BertModel(config)
    model.save_pretrained(folder)
    save_tokenizer(fast, folder)


def make_whisper(folder: Path) -> None:
    """A Whisper with its feature extractor; it hears nothing, but says something."""
    first = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{each}|>" for each in LANGUAGES)]
    rest = ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
    times = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    trained = byte_level([])
    end = "<|endoftext|>"
    tokenizer = WhisperTokenizerFast(
        tokenizer_object=trained, bos_token=end, eos_token=end, unk_token=end, pad_token=end
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [*first[1:], *rest, "<|notimestamps|>"]})
    tokenizer.add_tokens(times)
    known = tokenizer.convert_tokens_to_ids
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=WIDTH // HEAD,
        decoder_attention_heads=WIDTH // HEAD,
        encoder_ffn_dim=2 * WIDTH,
        decoder_ffn_dim=2 * WIDTH,
        max_source_positions=1500,
        max_target_positions=448,
        bos_token_id=known(end),
        eos_token_id=known(end),
        pad_token_id=known(end),
        decoder_start_token_id=known("<|startoftranscript|>"),
        init_std=0.5,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config.no_timestamps_token_id = known("<|notimestamps|>")
    model.generation_config.lang_to_id = {f"<|{each}|>": known(f"<|{each}|>") for each in LANGUAGES}
    model.generation_config.task_to_id = {each: known(f"<|{each}|>") for each in ("transcribe", "translate")}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
