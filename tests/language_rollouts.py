"""Tiny policies with several adapters, rollouts by hand, and slow twins of forward passes: one text at a time, by Transformers."""

import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from plaudit.engine.batch import Batch
from plaudit.engine.fallback import adapted
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout
from tests.language_examples import END, Letters

MATRICES = ["c_attn", "c_proj", "c_fc"]
CONTEXT = 64
GROUPS = ((5, (4, 1, 9)), (1, (2, 3)), (12, (6, 3, 1, 5)))
"""length of a prompt, lengths of its completions"""


def gpt2(seed, dtype):
    """Absolute positions, which forgive no slip; its tokens' vectors are long enough for a policy to be sure of itself."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=END + 1,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=CONTEXT,
        initializer_range=0.2,
        bos_token_id=END,
        eos_token_id=END,
    )
    made = GPT2LMHeadModel(config).to(dtype).eval()
    made.transformer.wte.weight.data.mul_(2)
    return made


def policy(*names, dtype=torch.float64, fresh=False, seed=0, rank=3):
    """A model with an adapter of each name, its view of the first; the adapters change something unless they are fresh."""
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=MATRICES)
    first, *others = names or ("policy",)
    base = gpt2(seed, dtype)
    torch.manual_seed(seed + 1)
    module = get_peft_model(base, config, adapter_name=first)
    for name in others:
        module.add_adapter(name, config)
    for name, parameter in module.named_parameters():
        parameter.data = parameter.data.to(dtype)
        if ".lora_B." in name and not fresh:
            parameter.data.normal_(0, 0.2)
    return LanguageModel(module, Letters(), dtype=dtype, adapter=first)


def moved(model, size=0.1, seed=7):
    """Change all parameters of a view a little."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter))


def rollout(groups=GROUPS, seed=0):
    """Completions of these lengths that nobody sampled, two of them cut off; their recorded log-probabilities are noise."""
    generator = torch.Generator().manual_seed(seed)

    def ids(count):
        return torch.randint(0, END, (count,), generator=generator).tolist()

    prompts = [ids(length) for length, _ in groups]
    batch = Batch.of(prompts, [[ids(length) for length in lengths] for _, lengths in groups])
    finished = torch.ones(len(batch), dtype=torch.bool)
    finished[:2] = False
    return Rollout(batch, -3 * torch.rand(len(batch.row), generator=generator), finished)


def scores(count, seed=3):
    """One of them missing."""
    found = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found[3] = torch.nan
    return found


def texts(batch):
    """Prompt and completion of each row."""
    return [(batch.prompts[group], row) for group, row in zip(batch.group.tolist(), batch.rows, strict=True)]


def slow_logprobs(model, batch, temperature):
    """A list of [C_i], with gradients."""
    found = []
    with adapted(model.module, model.adapter) as module:
        for prompt, completion in texts(batch):
            logits = module(torch.cat([prompt, completion])[None]).logits[0, len(prompt) - 1 : -1] / temperature
            found.append(torch.log_softmax(logits, -1)[torch.arange(len(completion)), completion])
    return found


def slow_values(critic, batch):
    """A list of [C_i], each value read from the token before."""
    found = []
    with adapted(critic.model.module, critic.model.adapter) as module:
        for prompt, completion in texts(batch):
            states = module.base_model(torch.cat([prompt, completion])[None]).last_hidden_state[0, len(prompt) - 1 : -1]
            found.append(states @ critic.weight + critic.bias)
    return found


def gradients(loss, parameters):
    return torch.autograd.grad(loss, parameters)


def close(ours, theirs, tolerance=1e-9):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
