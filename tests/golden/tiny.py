"""A tiny model whose weights are a formula, equal in every version of every library; needs torch, transformers and peft only."""

import peft
import torch
import transformers

PROMPTS = [[3, 1, 4], [2, 7], [18, 2, 8, 1, 8]]
CHOSEN = [[5, 9, 2, 6, 0], [1, 8, 0], [2, 8, 4, 0]]
REJECTED = [[5, 3, 0], [11, 12, 13, 14, 0], [7, 0]]
VOCABULARY = 20


def causal(phase: float) -> transformers.LlamaForCausalLM:
    """Weights differ by `phase`."""
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    return fill(transformers.LlamaForCausalLM(config).float().eval(), phase)


def adapted(phase: float) -> peft.PeftModel:
    """The model with an adapter that changes what it does."""
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"])
    module = peft.get_peft_model(causal(phase), config)
    trained = [parameter for _, parameter in sorted(module.named_parameters()) if parameter.requires_grad]
    for number, parameter in enumerate(trained):
        parameter.data = wave(parameter, 0.3 * number) / 4
    return module.eval()


def fill(module: torch.nn.Module, phase: float) -> torch.nn.Module:
    """Overwrite parameters; those that scale norms stay near 1."""
    for number, (name, parameter) in enumerate(sorted(module.named_parameters())):
        found = wave(parameter, phase + number)
        parameter.data = 1 + found / 5 if "norm" in name else found / 2
    return module


def wave(like: torch.Tensor, phase: float) -> torch.Tensor:
    """Numbers between -1 and 1."""
    places = torch.arange(like.numel(), dtype=torch.float64)
    return torch.sin(12.9898 * places + 78.233 * phase + 0.01 * places**2).to(torch.float32).view(like.shape)
