"""A tiny language model whose tokens are words, with an adapter, and a tokenizer as Transformers has them."""

import peft
import tokenizers
import torch
import transformers

from plaudit.engine.model import LanguageModel

WORDS = (
    "<pad>",
    "<eos>",
    "<unk>",
    ".",
    "?",
    *[
        "what",
        "is",
        "it",
        "say",
        "so",
        "the",
        "sea",
        "good",
        "bad",
        "yes",
        "no",
        "one",
        "two",
        "red",
        "blue",
        "big",
        "small",
        "ends",
    ],
)


def tokenizer():
    """Words and marks; what is unknown is <unk>."""
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )


def language_model(seed=0, *, rank=4, context=64, folder=None):
    """A Llama of a few thousand parameters; what is trained is a fresh adapter. Its base is written into a folder if there is one."""
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, initializer_range=0.2, bos_token_id=None,
        eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    base = transformers.LlamaForCausalLM(config)
    if folder is not None:
        base.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        base = transformers.LlamaForCausalLM.from_pretrained(folder)
    torch.manual_seed(seed + 1)
    adapter = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    return LanguageModel(peft.get_peft_model(base, adapter), tokenizer())
