"""Tiny random language models with adapters, and a tokenizer of single characters: what the stages are tested on."""

from typing import ClassVar

import peft
import torch
import transformers

from plaudit.engine.model import LanguageModel

LETTERS = "abcdefghijklmnopqrstuvwxyz =.?"
END = len(LETTERS)


class Letters:
    """One token for each character; the last id ends a text."""

    eos_token_id = END
    bos_token_id = None
    chat_template = "a turn is the first letter of its role, =, what is said, ."
    added_tokens_decoder: ClassVar[dict] = {}

    def __call__(self, text, add_special_tokens=True, split_special_tokens=False):
        del add_special_tokens, split_special_tokens
        return {"input_ids": [LETTERS.index(letter) for letter in text]}

    def decode(self, ids, skip_special_tokens, clean_up_tokenization_spaces):
        assert skip_special_tokens
        del clean_up_tokenization_spaces
        return "".join(LETTERS[number] for number in ids if number != END)

    def apply_chat_template(self, turns, *, tokenize, add_generation_prompt, continue_final_message, date_string):
        assert not tokenize
        del continue_final_message, date_string
        text = "".join(f"{turn['role'][0]}={turn['content']}." for turn in turns)
        return text + ("a=" if add_generation_prompt else "")

    def save_pretrained(self, folder):
        """Nothing to save."""


def causal(seed=0, *, dtype=torch.float32):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=END + 1, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).to(dtype)


def whole(seed=0, *, dtype=torch.float32):
    """All parameters are trained."""
    return LanguageModel(causal(seed, dtype=dtype), Letters(), dtype=dtype)


def adapted(seed=0, *, dtype=torch.float32, rank=8):
    """A fresh adapter on every matrix: nothing is changed by it yet."""
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names)
    base = causal(seed, dtype=dtype)
    torch.manual_seed(seed + 1)
    module = peft.get_peft_model(base, config)
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    return LanguageModel(module, Letters(), dtype=dtype)


def parameters(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
