"""A causal language model of Transformers and its tokenizer from a directory or the hub; LoRA through PEFT.

Settings need neither torch nor Transformers, so run files are read anywhere.
"""

from __future__ import annotations

import enum
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.engine.quiet import quiet
from plaudit.errors import ConfigError
from plaudit.run.optional import require
from plaudit.run.seeds import derive

EXTRA = "language"
IMPORT = "`plaudit model import smollm2 DIRECTORY` makes a directory of a small one without a hub"


class Dtype(enum.Enum):
    """How the numbers of a model are held."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685, equation 3): W + alpha / rank * B A, with B = 0 first.

    There is no dropout: ratios and the distance to the reference compare two passes over the same tokens, and dropout would
    let them differ where nothing was learned.
    """

    rank: int = 16
    """inner dimension of B A"""
    alpha: float = 32.0
    """B A is scaled by alpha / rank"""
    targets: tuple[str, ...] = ()
    """ends of the names of layers that get an adapter, like "q_proj"; none: every linear layer but the vocabulary head"""

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.alpha > 0:
            raise ConfigError(
                "These adapters cannot be made", got=f"rank {self.rank}, alpha {self.alpha}", expected="both above 0"
            )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Which language model, and how it is held."""

    path: str = ""
    """directory of a Transformers model or of a PEFT adapter; or its name on the hub, when online"""
    dtype: Dtype = Dtype.FLOAT32
    """float32, or bfloat16 for half the memory and up to twice the speed"""
    device: str = "cpu"
    """where it runs: cpu, cuda, cuda:1"""
    lora: LoraConfig | None = None
    """train low-rank adapters; none: train all weights"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A module of Transformers (or PEFT around one) and its tokenizer, as they came."""

    module: Any
    tokenizer: Any


def load(config: ModelConfig) -> Loaded:
    """The model of a directory or of the hub, in evaluation mode and with every dropout at 0. `config.lora` is left to `add_lora`.

    Raises:
        ConfigError: there is no such model, it is no causal language model, weights are missing, or its tokenizer is.
        MissingExtra: Transformers (or, for an adapter, PEFT) is not installed.
    """
    transformers, torch = require("transformers", EXTRA), require("torch", EXTRA)
    folder = Path(config.path)
    _check_path(config.path)
    adapter = folder / "adapter_config.json"
    base = _base_of(adapter) if adapter.is_file() else config.path
    dtype = {Dtype.FLOAT32: torch.float32, Dtype.BFLOAT16: torch.bfloat16}[config.dtype]
    try:
        with quiet():
            module, info = transformers.AutoModelForCausalLM.from_pretrained(
                base, dtype=dtype, output_loading_info=True
            )
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(base, error) from error
    if lost := sorted({*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}):
        raise ConfigError(
            "The file has not all weights of a language model, which would be left at random",
            got=f"{base}: none for {', '.join(lost[:3])}{' and others' if len(lost) > 3 else ''}",
            expected="a causal language model with its vocabulary head",
            next_step="give the directory of the language model, not of a classifier or a bare trunk",
        )
    if adapter.is_file():
        peft: Any = require("peft", EXTRA)
        with quiet() as held:
            module = peft.PeftModel.from_pretrained(module, config.path, is_trainable=True)
        _check_adapter(config.path, [str(one.message) for one in held])
    module = _off_the_file(module).to(config.device)
    return Loaded(without_dropout(module), _tokenizer(transformers, config.path, base))


def add_lora(module: Any, lora: LoraConfig, *, seed: int, name: str = "default") -> Any:
    """The module with fresh adapters; what it computes does not change yet, for B = 0. The first ones wrap it in PEFT's class.

    Args:
        module: of Transformers, or of PEFT with adapters of other names.
        lora: settings.
        seed: A is drawn from it, and from nothing else.
        name: of the adapter.

    Raises ConfigError when no layer has a name of `lora.targets`.
    """
    peft, torch = require("peft", EXTRA), require("torch", EXTRA)
    targets = list(lora.targets) if lora.targets else "all-linear"
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM", r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, lora_dropout=0.0
    )
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(derive(seed, "lora", name))
        try:
            if not isinstance(module, peft.PeftModel):
                return peft.get_peft_model(module, settings, adapter_name=name)
            module.add_adapter(name, settings)
        except ValueError as error:
            raise ConfigError(
                "The adapters fit no layer",
                got=str(error).partition(".")[0],
                expected="names of linear layers",
                next_step="leave `targets` empty for all linear layers",
            ) from error
    return module


def _off_the_file(module: Any) -> Any:
    """The module with weights in memory of its own. Transformers leaves them mapped to the file: what is written over it would
    change or kill a training, and mapped pages stay in memory beside the copies that fused matrices are.
    """
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()
    return module


def without_dropout(module: Any) -> Any:
    """The module in evaluation mode, and with every dropout at 0 even in training mode; what it saves does not change."""
    torch: Any = require("torch", EXTRA)
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        for name in ("attention_dropout", "dropout"):  # those that go to functions
            if isinstance(vars(part).get(name), float):
                setattr(part, name, 0.0)
    return module.eval()


def _check_path(path: str) -> None:
    """Raises ConfigError for what can be no model, before the hub is asked for it."""
    folder = Path(path)
    if not path:
        raise ConfigError("No language model is named", expected="a directory, or a name on the hub", next_step=IMPORT)
    if path.endswith(".gguf"):
        raise ConfigError(
            "A GGUF file is no directory of a model", got=path, next_step=f"run `plaudit model import {path} DIRECTORY`"
        )
    if folder.is_dir() and not ((folder / "config.json").is_file() or (folder / "adapter_config.json").is_file()):
        raise ConfigError(
            "This directory holds no model", got=path, expected="config.json or adapter_config.json", next_step=IMPORT
        )
    seems_path = folder.is_absolute() or path.startswith((".", "~")) or path.count("/") > 1 or os.sep == "\\" in path
    if not folder.exists() and seems_path:
        raise ConfigError("There is no such directory", got=path, next_step=IMPORT)


def _check_adapter(path: str, told: list[str]) -> None:
    """Raises ConfigError where PEFT left some of an adapter as it was drawn, which it only warns of."""
    if lost := next((one for one in told if "missing adapter keys" in one), None):
        raise ConfigError(
            "The file has not all weights of the adapter, which would be left at random",
            got=f"{path}: {lost}",
            expected="the adapter that its adapter_config.json describes",
            next_step="save the adapter again, or bring the file that belongs to these settings",
        )


def _base_of(adapter: Path) -> str:
    """Where the model lies that an adapter belongs to."""
    try:
        base = json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError("The settings of an adapter cannot be read", got=f"{adapter}: {error}") from error
    if not isinstance(base, str):
        raise ConfigError(
            "The adapter does not say which model it belongs to",
            got=str(adapter),
            next_step="set base_model_name_or_path in that file",
        )
    return base


def _unusable(source: str, error: Exception) -> ConfigError:
    return ConfigError(
        "The language model cannot be loaded",
        got=f"{source}: {str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}",
        expected="a directory of a causal language model of Transformers, or its name on the hub when online",
        next_step=f"check the name; {IMPORT}",
    )


def _tokenizer(transformers: Any, source: str, base: str) -> Any:
    """The tokenizer that lies beside the weights; that of the base model when an adapter came without."""
    has_own = not Path(source).is_dir() or any(Path(source).glob("tokenizer*"))
    try:
        with quiet():
            return transformers.AutoTokenizer.from_pretrained(source if has_own else base)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            "The model has no tokenizer that can be read",
            got=f"{source}: {str(error).strip().partition(chr(10))[0]}",
            expected="tokenizer.json and tokenizer_config.json beside the weights",
            next_step="save the tokenizer into the same directory: tokenizer.save_pretrained(DIRECTORY)",
        ) from error
