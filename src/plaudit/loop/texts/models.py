"""The language models of a run: policy, what it is held against, and the reward's body; what a checkpoint keeps of each."""

from __future__ import annotations

import copy
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from plaudit.engine.importing import SMOLLM2, import_model
from plaudit.engine.load import Dtype, add_lora, load
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Tokeniser, stop_ids
from plaudit.errors import ConfigError, IntegrityError
from plaudit.language.critic import Critic
from plaudit.language.scorer import TextReward
from plaudit.loop.texts.config import TextRunConfig
from plaudit.run.seeds import derive

NAMED = "PLAUDIT_SMOLLM2"
"""environment variable that names a directory of SmolLM2"""
POLICY, START, REWARD, CRITIC = "policy", "start", "reward", "critic"
"""adapters, and files of checkpoints"""


class Cast:
    """Who takes part.

    With adapters all share one copy of the base weights: the policy's adapter, the one that it started from (none, but for
    imitation), and the reward's. Without adapters there are three models.

    Args:
        config: settings of the run.

    Raises ConfigError and MissingExtra as `plaudit.engine.load.load`.
    """

    def __init__(self, config: TextRunConfig) -> None:
        settings, seed = config.model, derive(config.seed, "model")
        loaded = load(replace(settings, path=str(directory_of(settings.path))))
        dtype = {Dtype.FLOAT32: torch.float32, Dtype.BFLOAT16: torch.bfloat16}[settings.dtype]
        lora = None if settings.full else settings.lora
        self.tokeniser = Tokeniser(loaded.tokenizer, stop=stop_ids(loaded.module, loaded.tokenizer))
        imitates, values = config.sft is not None, config.improve.ppo is not None

        def model(module: Any, adapter: str | None) -> LanguageModel:
            return LanguageModel(module, loaded.tokenizer, dtype=dtype, adapter=adapter)

        if lora is None:
            self.policy = model(loaded.module, None)
            self.start, self.reward = (model(copy.deepcopy(loaded.module), None) for _ in range(2))
            self.critic = model(copy.deepcopy(loaded.module), None) if values else None
        else:
            module = loaded.module
            for name in (POLICY, *((START,) if imitates else ()), REWARD, *((CRITIC,) if values else ())):
                module = add_lora(module, lora, seed=seed, name=name)
            self.policy = model(module, POLICY)
            self.start = self.policy.view(START if imitates else None)
            self.reward = self.policy.view(REWARD)
            self.critic = self.policy.view(CRITIC) if values else None
        self._keeps_start = imitates
        self._fresh = [parameter.detach().clone() for parameter in self.reward.parameters()]

    def forget_reward(self) -> None:
        """Bring the reward's body to where it began: every fit starts from the same."""
        _fill(self.reward, self._fresh)

    def critic_of(self, reward: TextReward | None) -> Critic:
        """PPO's critic, as the reward, or knowing nothing where there is none. Raises ConfigError where the run has no PPO."""
        if self.critic is None:
            raise ConfigError("There is no critic", got="no improve.ppo", expected="a run that learns by PPO")
        if reward is not None:
            return Critic.from_reward(reward, self.critic)
        _fill(self.critic, self._fresh)
        return Critic.fresh(self.critic)

    def begin_here(self) -> None:
        """From now on the policy is held against what it is now."""
        _fill(self.start, [parameter.detach() for parameter in self.policy.parameters()])

    def save(self, folder: Path) -> None:
        """Write what is taught, and what it is held against, into a folder that exists."""
        keep(self.policy, folder / f"{POLICY}.safetensors")
        if self._keeps_start:
            keep(self.start, folder / f"{START}.safetensors")

    def restore(self, folder: Path) -> None:
        """Take up what `save` wrote. Raises IntegrityError where it does not fit."""
        take(self.policy, folder / f"{POLICY}.safetensors")
        if self._keeps_start:
            take(self.start, folder / f"{START}.safetensors")


def directory_of(path: str) -> Path:
    """Where a model lies; SmolLM2 is made from the installed package once, in the user's cache.

    Raises ConfigError, MissingExtra and RunError as `import_model`.
    """
    if path != SMOLLM2 or Path(path).is_dir():
        return Path(path)
    if named := os.environ.get(NAMED):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plaudit" / SMOLLM2
    if not cache.is_dir():
        cache.parent.mkdir(parents=True, exist_ok=True)
        import_model(SMOLLM2, cache)
    return cache


def digest_of(path: Path) -> str:
    """Hash of a model's files: a run that is resumed must find the same. Of a name on the hub, of the name."""
    found = hashlib.sha256(b"" if path.is_dir() else str(path).encode())
    for file in sorted(path.iterdir()) if path.is_dir() else ():
        if file.suffix in (".safetensors", ".bin", ".json", ".model", ".jinja"):
            with file.open("rb") as stream:
                found.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()


def version_of(model: LanguageModel, prefix: str, *others: torch.Tensor) -> str:
    """A name for weights: equal weights, equal name."""
    found = hashlib.sha256()
    for tensor in (*model.parameters(), *others):
        found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return f"{prefix}_{found.hexdigest()[:32]}"


def keep(model: LanguageModel, file: Path) -> None:
    """Write what training changes of a model."""
    tensors = enumerate(model.parameters())
    save_file({f"{number:05d}": one.detach().cpu().clone().contiguous() for number, one in tensors}, file)


def take(model: LanguageModel, file: Path) -> None:
    """Inverse of `keep`. Raises IntegrityError where shapes differ."""
    found = load_file(file)
    tensors = [found[name] for name in sorted(found)]
    if [one.shape for one in tensors] != [one.shape for one in model.parameters()]:
        raise IntegrityError(
            "A checkpoint belongs to another model", got=str(file), next_step="take the model that the run began with"
        )
    _fill(model, tensors)


def _fill(model: LanguageModel, tensors: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for parameter, tensor in zip(model.parameters(), tensors, strict=True):
            parameter.copy_(tensor)
    model.refresh()
