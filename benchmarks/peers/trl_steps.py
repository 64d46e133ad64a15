"""Seconds of one optimiser step of TRL 1.16's trainers, for `benchmarks.language_speed`. Runs in a venv of its own.

    TRL_VENV/bin/python -m peers.trl_steps '{"kind": "grpo", "weights": "lora", "dtype": "float32", ...}'

Prints one JSON line: seconds of each measured step, prompt and completion tokens of a step, peak memory of the process.
Prompts are runs of whole words, each of which is one token, so that every prompt has exactly the length that was asked for.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import tempfile
import time
from typing import Any

SETTINGS = json.loads(sys.argv[1])
os.environ["OMP_NUM_THREADS"] = str(SETTINGS["threads"])
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402 (threads are set first)
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)

WARMUP = 1
"""steps before the first that is measured"""


class Clock(TrainerCallback):
    """Notes how long each optimiser step takes, generation and scoring included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.began = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The first step begins with its batch, before on_step_begin."""
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """A step ends where the next begins."""
        now = time.perf_counter()
        self.seconds.append(now - self.began)
        self.began = now


def words(tokenizer: Any) -> list[str]:
    """Words that are one token each, also beside each other."""
    found = []
    for token in range(1000, 20_000):
        text = tokenizer.decode([token])
        if text.startswith(" ") and text[1:].isalpha() and text[1:].islower():
            found.append(text)
    return found


def text(rng: random.Random, known: list[str], length: int) -> str:
    """So many tokens."""
    return "".join(rng.choice(known) for _ in range(length))


def lengths(rng: random.Random, longest: int, ragged: bool) -> int:
    """`longest`, or anything from a quarter of it."""
    return rng.randint(longest // 4, longest) if ragged else longest


def rollouts(model: Any, steps: int) -> list[float]:
    """Seconds of Transformers' own sampling of a step's completions."""
    s = SETTINGS
    found: list[float] = []
    for number in range(steps):
        rng = random.Random(number)
        prompts = [[rng.randrange(1000, 20_000) for _ in range(s["prompt"])] for _ in range(s["rows"] // s["samples"])]
        ids = torch.tensor([prompt for prompt in prompts for _ in range(s["samples"])])
        began = time.perf_counter()
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, temperature=1.0,
            min_new_tokens=s["completion"], max_new_tokens=s["completion"], pad_token_id=0,
        )  # fmt: skip
        found.append(time.perf_counter() - began)
    return found


def told(seconds: list[float]) -> None:
    """Print what was measured."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rounded = [round(value, 3) for value in seconds[WARMUP:]]
    print(
        json.dumps({"seconds": rounded, "peak_gib": round(peak, 2), "load": round(os.getloadavg()[0], 2)}), flush=True
    )


def main() -> None:
    """One trainer, one configuration."""
    s = SETTINGS
    torch.set_num_threads(s["threads"])
    torch.manual_seed(0)
    if s["kind"] == "rollout":
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[s["dtype"]]
        told(rollouts(AutoModelForCausalLM.from_pretrained(s["model"], dtype=dtype).eval(), WARMUP + s["steps"]))
        return
    rng = random.Random(0)
    tokenizer = AutoTokenizer.from_pretrained(s["model"])
    known = words(tokenizer)
    steps = WARMUP + s["steps"]
    rows, p, c, ragged = s["rows"], s["prompt"], s["completion"], s["ragged"]
    lora = (
        LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", lora_dropout=0.0)
        if s["weights"] == "lora"
        else None
    )
    with tempfile.TemporaryDirectory() as folder:
        common = {
            "output_dir": folder, "max_steps": steps, "use_cpu": True, "bf16": s["dtype"] == "bfloat16", "report_to": "none",
            "logging_steps": 1000, "save_strategy": "no", "learning_rate": 1e-5, "gradient_checkpointing": False,
            "disable_tqdm": True, "seed": 0, "dataloader_num_workers": 0,
        }  # fmt: skip
        clock = Clock()
        load = {"dtype": torch.float32}
        spread = [lengths(rng, c, ragged) for _ in range(2 * rows * steps)]
        if s["kind"] == "sft":
            from trl import SFTConfig, SFTTrainer

            data = [
                {"prompt": text(rng, known, p), "completion": text(rng, known, spread[i])} for i in range(rows * steps)
            ]
            config = SFTConfig(per_device_train_batch_size=rows, max_length=None, completion_only_loss=True, **common)
            model = AutoModelForCausalLM.from_pretrained(s["model"], **load)
            trainer = SFTTrainer(
                model,
                config,
                train_dataset=Dataset.from_list(data),
                processing_class=tokenizer,
                peft_config=lora,
                callbacks=[clock],
            )
        elif s["kind"] in ("dpo", "reward"):
            data = [
                {
                    "prompt": text(rng, known, p),
                    "chosen": text(rng, known, spread[2 * i]),
                    "rejected": text(rng, known, spread[2 * i + 1]),
                }
                for i in range(rows * steps)
            ]
            if s["kind"] == "dpo":
                from trl import DPOConfig, DPOTrainer

                config = DPOConfig(per_device_train_batch_size=rows, max_length=None, beta=0.1, **common)
                model = AutoModelForCausalLM.from_pretrained(s["model"], **load)
                trainer = DPOTrainer(
                    model,
                    args=config,
                    train_dataset=Dataset.from_list(data),
                    processing_class=tokenizer,
                    peft_config=lora,
                    callbacks=[clock],
                )
            else:
                from trl import RewardConfig, RewardTrainer

                config = RewardConfig(per_device_train_batch_size=rows, max_length=None, **common)
                model = AutoModelForSequenceClassification.from_pretrained(s["model"], num_labels=1, **load)
                if lora is not None:
                    lora = LoraConfig(
                        r=16,
                        lora_alpha=32,
                        target_modules="all-linear",
                        lora_dropout=0.0,
                        modules_to_save=["score"],
                        task_type="SEQ_CLS",
                    )
                trainer = RewardTrainer(
                    model,
                    args=config,
                    train_dataset=Dataset.from_list(data),
                    processing_class=tokenizer,
                    peft_config=lora,
                    callbacks=[clock],
                )
        else:
            from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

            cls, config_cls = (GRPOTrainer, GRPOConfig) if s["kind"] == "grpo" else (RLOOTrainer, RLOOConfig)
            samples = s["samples"]
            data = [{"prompt": text(rng, known, lengths(rng, p, ragged))} for _ in range(rows // samples * steps)]
            # every completion goes on to its last token, or (ragged) is stopped after a length drawn beforehand
            extra = {"min_new_tokens": c} if not ragged else {}
            config = config_cls(
                per_device_train_batch_size=rows, num_generations=samples, max_completion_length=c, beta=0.04, temperature=1.0,
                top_k=0, generation_kwargs=extra, **common,
            )  # fmt: skip
            model = AutoModelForCausalLM.from_pretrained(s["model"], **load)
            draws = random.Random(1)

            def reward(completions: list[str], **_: Any) -> list[float]:
                return [draws.random() for _ in completions]

            trainer = cls(
                model,
                reward_funcs=reward,
                args=config,
                train_dataset=Dataset.from_list(data),
                processing_class=tokenizer,
                peft_config=lora,
                callbacks=[clock],
            )
        trainer.train()
    told(clock.seconds)


if __name__ == "__main__":
    main()
