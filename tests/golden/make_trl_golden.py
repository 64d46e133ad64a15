"""Losses and gradients by TRL 1.16's own code, for given log-probabilities in float64: what tests/test_ops_golden.py holds ours to.

Run in an environment that has trl==1.16.0 and peft:  python tests/golden/make_trl_golden.py

TRL's loss methods are called on stand-ins for their trainers, whose models return the log-probabilities drawn here. Its
advantages and importance weights stand in the middle of a long method; their statements are cut out of it and executed.
"""

import ast
import inspect
import json
import math
import textwrap
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import tiny
import torch
import trl
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.gkd.gkd_trainer import GKDTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer
from trl.trainer import dpo_trainer, grpo_trainer, kto_trainer, reward_trainer, rloo_trainer, sft_trainer
from trl.trainer.utils import add_fused_lm_head

HERE = Path(__file__).parent
LENGTHS = (3, 1, 4, 2, 5, 2)
GROUP = (0, 0, 0, 1, 1, 1)
LONGEST = 7

Numbers = dict[str, object]


def accelerator():
    return SimpleNamespace(
        num_processes=1, process_index=0, device=torch.device("cpu"), sync_gradients=True,
        parallelism_config=None, reduce=lambda x, reduction: x, gather=lambda x: x, gather_for_metrics=lambda x: x, unwrap_model=lambda x: x,
    )  # fmt: skip


def padded(flat: torch.Tensor) -> torch.Tensor:
    """[T] to [N, longest], zeros behind the ends."""
    return torch.nn.utils.rnn.pad_sequence(list(flat.split(list(LENGTHS))), batch_first=True)


def mask() -> torch.Tensor:
    return padded(torch.ones(sum(LENGTHS), dtype=torch.int64))


def draw(seed: int) -> dict[str, torch.Tensor]:
    """Log-probabilities, advantages and entropies with ratios far enough from 1 for every clip to act."""
    random = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    tokens = sum(LENGTHS)
    logprobs = -0.1 - noise(tokens).abs()
    return {
        "logprobs": logprobs,
        "old": logprobs + 0.4 * noise(tokens),
        "reference": logprobs + 0.3 * noise(tokens),
        "sampler": logprobs + 0.5 * noise(tokens),
        "entropy": noise(tokens).abs(),
        "advantages": noise(len(LENGTHS)),
    }


def plain(values: dict[str, torch.Tensor]) -> Numbers:
    return {name: value.tolist() for name, value in values.items()}


GRPO = {
    "grpo": {"loss_type": "grpo"},
    "grpo_kl": {"loss_type": "grpo", "beta": 0.3, "use_bias_correction_kl": False},
    "grpo_kl_weighted": {"loss_type": "grpo", "beta": 0.3, "use_bias_correction_kl": True},
    "grpo_clip_higher": {"loss_type": "grpo", "epsilon_high": 0.4},
    "grpo_delta": {"loss_type": "grpo", "delta": 1.3},
    "grpo_sequence": {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon_low": 0.05, "epsilon_high": 0.06},
    "grpo_entropy": {"loss_type": "grpo", "entropy_coef": 0.1},
    "bnpo": {"loss_type": "bnpo"},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "dr_grpo_kl_weighted": {"loss_type": "dr_grpo", "beta": 0.3},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "cispo": {"loss_type": "cispo", "epsilon_high": 1.2},
    "luspo": {"loss_type": "luspo", "importance_sampling_level": "sequence"},
    "dapo_sampler_weights": {"loss_type": "dapo", "use_vllm": True},
}  # fmt: skip


def grpo_trainer_like(options: Numbers, per_token: tuple[torch.Tensor, torch.Tensor]) -> SimpleNamespace:
    beta, entropy = options.get("beta", 0.0), options.get("entropy_coef", 0.0)
    return SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (*per_token, None),
        accelerator=accelerator(), _metrics=defaultdict(lambda: defaultdict(list)), model=SimpleNamespace(training=True),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None, use_adaptive_entropy=False,
        _entropy_bonus_enabled=entropy != 0, entropy_coef=entropy, beta=beta, loss_type=options["loss_type"],
        importance_sampling_level=options.get("importance_sampling_level", "token"),
        epsilon_low=options.get("epsilon_low", 0.2), epsilon_high=options.get("epsilon_high", 0.2),
        use_vllm=options.get("use_vllm", False), vllm_importance_sampling_correction=True,
        current_gradient_accumulation_steps=1, max_completion_length=LONGEST,
        args=SimpleNamespace(
            use_bias_correction_kl=options.get("use_bias_correction_kl", True),
            delta=options.get("delta"), steps_per_generation=1,
        ),
    )  # fmt: skip


def grpo_case(options: Numbers, seed: int) -> Numbers:
    data = draw(seed)
    flat = data["logprobs"].clone().requires_grad_()
    inputs = {
        "prompt_ids": torch.zeros(len(LENGTHS), 1, dtype=torch.int64), "prompt_mask": torch.ones(len(LENGTHS), 1),
        "completion_ids": torch.zeros_like(mask()), "completion_mask": mask(), "advantages": data["advantages"],
        "old_per_token_logps": padded(data["old"]), "ref_per_token_logps": padded(data["reference"]),
        "num_items_in_batch": mask().sum(),
        "importance_sampling_ratio": importance("token_truncate", data, (None, 2.0)),
    }  # fmt: skip
    trainer = grpo_trainer_like(options, (padded(flat), padded(data["entropy"])))
    loss = grpo_trainer.GRPOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    metrics = {name: values[0] for name, values in trainer._metrics["train"].items()}
    return {"options": options, **plain(data), "loss": loss.item(), "gradient": flat.grad.tolist(), "metrics": metrics}


def rloo_case(seed: int) -> Numbers:
    data = draw(seed)
    flat = data["logprobs"].clone().requires_grad_()
    trainer = grpo_trainer_like({"loss_type": "rloo"}, (padded(flat), padded(data["entropy"])))
    old = (padded(data["old"]) * mask()).sum(1)
    inputs = {
        "prompt_ids": torch.zeros(len(LENGTHS), 1, dtype=torch.int64), "prompt_mask": torch.ones(len(LENGTHS), 1),
        "completion_ids": torch.zeros_like(mask()), "completion_mask": mask(), "advantages": data["advantages"], "old_logps": old,
    }  # fmt: skip
    loss = rloo_trainer.RLOOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    return {**plain(data), "loss": loss.item(), "gradient": flat.grad.tolist()}


def statements(trainer: type) -> list[ast.stmt]:
    source = textwrap.dedent(inspect.getsource(trainer._generate_and_score_completions))
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function.body


def execute(body: list[ast.stmt], names: Numbers, module: object) -> Numbers:
    space = {**vars(module), **names}
    exec(compile(ast.Module(body=body, type_ignores=[]), "trl", "exec"), space)
    return space


def advantages_of(trainer: type, module: object, names: Numbers) -> torch.Tensor:
    """TRL's statements from `unscorable_mask = ...` to `advantages = torch.nan_to_num(...)`."""
    body = statements(trainer)
    starts = [n for n, s in enumerate(body) if ast.unparse(s).startswith("unscorable_mask =")]
    stops = [n for n, s in enumerate(body) if ast.unparse(s).startswith("advantages = torch.nan_to_num")]
    names = {**names, "device": torch.device("cpu"), "gather": lambda x: x}
    found = execute(body[starts[0] : stops[0] + 1], names, module)["advantages"]
    assert isinstance(found, torch.Tensor)
    return found


def importance(mode: str, data: dict[str, torch.Tensor], bounds: tuple[float | None, float | None]) -> torch.Tensor:
    """TRL's weights for what the sampler's and the trainer's log-probabilities differ by."""
    test = "self.use_vllm and self.vllm_importance_sampling_correction"
    nodes = [n for s in statements(grpo_trainer.GRPOTrainer) for n in ast.walk(s)]
    chosen = [
        n
        for n in nodes
        if isinstance(n, ast.If) and ast.unparse(n.test) == test and "invalid_mis_mask" in ast.unparse(n)
    ]
    config = SimpleNamespace(
        vllm_importance_sampling_mode=mode,
        vllm_importance_sampling_clip_min=bounds[0],
        vllm_importance_sampling_clip_max=bounds[1],
    )
    names = {
        "self": config, "tool_mask": None, "completion_mask": mask(), "torch": torch, "math": math,
        "old_per_token_logps": padded(data["old"]), "sampling_per_token_logps": padded(data["sampler"]),
    }  # fmt: skip
    found = execute(chosen[0].body, names, grpo_trainer)["vllm_importance_sampling_ratio"]
    assert isinstance(found, torch.Tensor)
    return found


def importance_cases() -> Numbers:
    data = draw(50)
    data["sampler"][4] = torch.nan
    cases: list[Numbers] = []
    for mode in ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"):
        for bounds in ((None, 1.2), (0.7, 1.2)):
            weights = importance(mode, data, bounds).expand_as(mask())
            cases.append({"mode": mode, "bounds": bounds, "weights": weights[mask().bool()].tolist()})
    return {"old": data["old"].tolist(), "sampler": data["sampler"].nan_to_num(nan=99.0).tolist(), "cases": cases}


REWARDS = {
    "plain": [0.3, -1.0, 2.0, 0.7, 0.1, -0.4],
    "unscorable": [0.3, math.nan, 2.0, 0.7, 0.1, -0.4],
    "alone": [math.nan, math.nan, 2.0, 0.7, 0.1, -0.4],
    "none_scorable": [math.nan, math.nan, math.nan, 0.7, 0.1, -0.4],
    "all_equal": [0.1, 0.1, 0.1, 0.7, 0.1, -0.4],
}


def advantage_cases() -> list[Numbers]:
    cases: list[Numbers] = []
    data = draw(60)
    for name, values in REWARDS.items():
        rewards = torch.tensor(values, dtype=torch.float64)
        common = {"num_generations": 3, "rewards_per_func": rewards[:, None]}
        weights = {"reward_weights": torch.ones(1, dtype=torch.float64)}
        listed = [None if math.isnan(value) else value for value in values]
        for scale in ("group", "batch", "none"):
            config = SimpleNamespace(multi_objective_aggregation="sum_then_normalize", scale_rewards=scale, **weights)
            found = advantages_of(grpo_trainer.GRPOTrainer, grpo_trainer, {**common, "self": config})
            cases.append(
                {"kind": "grpo", "name": name, "scale": scale, "rewards": listed, "advantages": found.tolist()}
            )
        for beta, normalize in ((0.0, False), (0.2, False), (0.2, True)):
            config = SimpleNamespace(
                beta=beta, reward_clip_range=(-0.5, 1.5), normalize_advantages=normalize, **weights
            )
            kl = {"old_per_token_logps": padded(data["old"]), "ref_per_token_logps": padded(data["reference"])}
            names = {**common, **kl, "self": config, "completion_mask": mask()}
            found = advantages_of(rloo_trainer.RLOOTrainer, rloo_trainer, names)
            case = {"kind": "rloo", "name": name, "beta": beta, "normalize": normalize, "rewards": listed}
            cases.append(
                {
                    **case,
                    "old": data["old"].tolist(),
                    "reference": data["reference"].tolist(),
                    "advantages": found.tolist(),
                }
            )
    return cases


DPO = {
    "sigmoid": {"loss": "sigmoid", "beta": 0.5},
    "ipo": {"loss": "ipo", "beta": 0.5},
    "hinge": {"loss": "hinge", "beta": 0.5},
    "robust": {"loss": "robust", "beta": 0.5, "smoothing": 0.1},
    # TRL smooths labels in its sorted losses only; with one pair there is nothing to sort, which leaves cDPO
    "smoothed": {"loss": "aot", "beta": 0.5, "smoothing": 0.1},
}


class ModelLike:
    """Returns what a model with TRL's fused head returns, for given log-probabilities."""

    def __init__(self, outputs: SimpleNamespace) -> None:
        self.outputs, self.training = outputs, True

    def __call__(self, **_: object) -> SimpleNamespace:
        return self.outputs


def outputs_of(logprobs: torch.Tensor, valid: torch.Tensor) -> SimpleNamespace:
    zeros = torch.zeros_like(logprobs)
    return SimpleNamespace(
        log_probs=logprobs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool(), label_mask=valid.bool()
    )


def dpo_trainer_like(options: Numbers, reference: object) -> SimpleNamespace:
    dpo_trainer.disable_gradient_checkpointing = lambda *_: torch.no_grad()
    dpo_trainer.is_peft_model = lambda _: False  # the reference is a model of its own
    return SimpleNamespace(
        model=SimpleNamespace(training=True), ref_model=reference, accelerator=accelerator(),
        aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=False, f_divergence_type="reverse_kl",
        args=SimpleNamespace(gradient_checkpointing_kwargs=None), beta=options["beta"], use_weighting=False, _tp_size=1,
        loss_types=[options["loss"]], loss_weights=[1.0], label_smoothing=options.get("smoothing", 0.0),
        _metrics=defaultdict(lambda: defaultdict(list)), _total_train_tokens=0,
    )  # fmt: skip


METRICS = (
    "rewards/chosen",
    "rewards/rejected",
    "rewards/accuracies",
    "rewards/margins",
    "logps/chosen",
    "logps/rejected",
)


def dpo_loss(
    options: Numbers, logprobs: torch.Tensor, reference: torch.Tensor, valid: torch.Tensor
) -> tuple[torch.Tensor, Numbers]:
    """Rows of chosen, then rows of rejected completions, [2P, longest]."""
    trainer = dpo_trainer_like(options, ModelLike(outputs_of(reference * valid, valid)))
    completion_mask = torch.cat([torch.zeros(len(valid), 1, dtype=torch.int64), valid], dim=1)
    inputs = {
        "completion_mask": completion_mask, "input_ids": torch.zeros_like(completion_mask),
        "attention_mask": torch.ones_like(completion_mask),
    }  # fmt: skip
    model = ModelLike(outputs_of(logprobs * valid, valid))
    loss = dpo_trainer.DPOTrainer._compute_loss(trainer, model, inputs, return_outputs=False)
    return loss, {name: trainer._metrics["train"][name][0] for name in METRICS}


def dpo_case(options: Numbers, seed: int) -> Numbers:
    """Even rows were chosen, odd rows rejected."""
    data = draw(seed)
    flat = data["logprobs"].clone().requires_grad_()
    order = [0, 2, 4, 1, 3, 5]
    pairs = [[pair, pair + 3] for pair in range(3)] if options["loss"] == "aot" else [list(range(6))]
    total, gathered = flat.new_zeros(()), defaultdict(list)
    for rows in pairs:
        chosen = torch.tensor([order[row] for row in rows])
        loss, metrics = dpo_loss(options, padded(flat)[chosen], padded(data["reference"])[chosen], mask()[chosen])
        total = total + loss / len(pairs)
        for name, value in metrics.items():
            gathered[name].append(value)
    total.backward()
    means = {name: sum(values) / len(values) for name, values in gathered.items()}
    return {"options": options, **plain(data), "loss": total.item(), "gradient": flat.grad.tolist(), "metrics": means}


ALONE = {
    "simpo": {"loss": "simpo", "beta": 2.0, "margin": 0.5},
    "simpo_smoothed": {"loss": "simpo", "beta": 2.0, "margin": 1.0, "smoothing": 0.1},
    "simpo_imitating": {"loss": "simpo", "beta": 2.0, "margin": 0.5, "likelihood": 0.7},
    "orpo": {"loss": "orpo", "beta": 0.1},
    "orpo_heavy": {"loss": "orpo", "beta": 1.5},
}


class Binary:
    """A model of two tokens, the first of which has the given log-probabilities behind a prompt of one token."""

    def __call__(self, ids: torch.Tensor, **_: object) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits)

    def __init__(self, logprobs: torch.Tensor) -> None:
        first = torch.cat(
            [logprobs, torch.full_like(logprobs[:, :1], -1.0)], dim=1
        )  # what follows the last is not read
        self.logits = torch.stack([first, torch.log(-torch.expm1(first))], dim=2)


def alone_case(options: Numbers, seed: int) -> Numbers:
    """Even rows were chosen, odd rows rejected. TRL's ORPO rounds to single precision, which is kept from it here."""
    data = draw(seed)
    flat = data["logprobs"].clone().requires_grad_()
    order = torch.tensor([0, 2, 4, 1, 3, 5])
    kind = ORPOTrainer if options["loss"] == "orpo" else CPOTrainer
    trainer = SimpleNamespace(
        beta=options["beta"], loss_type="simpo", simpo_gamma=options.get("margin", 0.0), alpha=0.0, aux_loss_enabled=False,
        label_smoothing=options.get("smoothing", 0.0), cpo_alpha=options.get("likelihood", 0.0), is_encoder_decoder=False,
        padding_value=0, pad_token_id=0, accelerator=accelerator(), get_batch_logps=kind.get_batch_logps,
    )  # fmt: skip
    for name in ("concatenated_forward", "odds_ratio_loss" if kind is ORPOTrainer else "cpo_loss"):
        setattr(trainer, name, getattr(kind, name).__get__(trainer))
    logprobs = torch.where(mask()[order].bool(), padded(flat)[order], torch.tensor(-1.0))
    valid = torch.cat([torch.ones(len(order), 1, dtype=torch.int64), mask()[order]], dim=1)
    labels = torch.cat([torch.full((len(order), 1), -100), torch.where(mask()[order].bool(), 0, -100)], dim=1)
    batch = {
        "concatenated_input_ids": torch.zeros_like(valid),
        "concatenated_attention_mask": valid,
        "concatenated_labels": labels,
    }
    trainer.concatenated_inputs = lambda *_, **__: batch
    single = torch.Tensor.float
    torch.Tensor.float = torch.Tensor.double
    loss, metrics = kind.get_batch_loss_metrics(trainer, Binary(logprobs), {"chosen_labels": labels[:3]})
    torch.Tensor.float = single
    loss.backward()
    metrics = {name: metrics[name] for name in (*METRICS, "nll_loss")}
    return {"options": options, **plain(data), "loss": loss.item(), "gradient": flat.grad.tolist(), "metrics": metrics}


KTO = {
    "kto": {"drift": True, "beta": 0.5},
    "kto_weighted": {"drift": True, "beta": 0.5, "desirable": 1.5, "undesirable": 0.5},
    "kto_no_drift": {"drift": True, "beta": 0.5, "closer": True},
    "apo_zero": {"drift": False, "beta": 0.5},
}
GOOD = (True, False, True, True, False, False)


class InTurn:
    """Returns one output after the other."""

    def __init__(self, *outputs: SimpleNamespace) -> None:
        self.outputs, self.training = list(outputs), True

    def __call__(self, **_: object) -> SimpleNamespace:
        return self.outputs.pop(0)


def kto_case(options: Numbers, seed: int) -> Numbers:
    """The drift is measured on log-probabilities of their own; with `closer` it would be below 0."""
    data, other = draw(seed), draw(seed + 50)
    flat, valid = data["logprobs"].clone().requires_grad_(), mask()
    ahead = (-1 if options.get("closer") else 1) * other["entropy"] / 4
    moved = {"kl": other["logprobs"], "kl_reference": other["logprobs"] - ahead}
    kl, kl_reference = (outputs_of(padded(one) * valid, valid) for one in moved.values())
    turns = (
        (kl, outputs_of(padded(flat) * valid, valid)),
        (kl_reference, outputs_of(padded(data["reference"]) * valid, valid)),
    )
    policy, reference = (InTurn(*(turn if options["drift"] else turn[1:])) for turn in turns)
    kto_trainer.disable_gradient_checkpointing = lambda *_: torch.no_grad()
    kto_trainer.is_peft_model = lambda _: False
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True), ref_model=reference, accelerator=accelerator(), aux_loss_enabled=False,
        calculate_KL=options["drift"], precompute_ref_logps=False, args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        loss_type="kto" if options["drift"] else "apo_zero_unpaired", beta=options["beta"], _tp_size=1,
        desirable_weight=options.get("desirable", 1.0), undesirable_weight=options.get("undesirable", 1.0),
        _metrics=defaultdict(lambda: defaultdict(list)), _total_train_tokens=0,
    )  # fmt: skip
    trainer._compute_kl_logps = kto_trainer.KTOTrainer._compute_kl_logps.__get__(trainer)
    completion_mask = torch.cat([torch.zeros(len(valid), 1, dtype=torch.int64), valid], dim=1)
    ids = {"input_ids": torch.zeros_like(completion_mask), "attention_mask": torch.ones_like(completion_mask), "completion_mask": completion_mask}  # fmt: skip
    inputs = {**ids, **{f"KL_{name}": value for name, value in ids.items()}, "label": torch.tensor(GOOD)}
    loss = kto_trainer.KTOTrainer._compute_loss(trainer, policy, inputs, return_outputs=False)
    loss.backward()
    names = ("kl", "rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected")
    metrics = {name: trainer._metrics["train"][name][0] for name in names}
    case = {
        "options": options,
        **plain(data | moved),
        "good": GOOD,
        "loss": loss.item(),
        "gradient": flat.grad.tolist(),
    }
    return {**case, "metrics": metrics}


def gkd_case(mix: float, temperature: float) -> Numbers:
    """Logits of a vocabulary of 4, and labels that leave two tokens out."""
    random = torch.Generator().manual_seed(180)
    student, teacher = (3 * torch.randn(1, 6, 4, generator=random) for _ in range(2))
    student.requires_grad_()
    labels = torch.tensor([[-100, 1, 2, -100, 0, 3]])
    loss = GKDTrainer.generalized_jsd_loss(student, teacher, labels=labels, beta=mix, temperature=temperature)
    loss.backward()
    case = {"mix": mix, "temperature": temperature, "counted": (labels != -100)[0].tolist(), "loss": loss.item()}
    return {
        **case,
        "student": student[0].tolist(),
        "teacher": teacher[0].tolist(),
        "gradient": student.grad[0].tolist(),
    }


def sft_trainer_like() -> SimpleNamespace:
    return SimpleNamespace(
        model=SimpleNamespace(training=True), aux_loss_enabled=False, accelerator=accelerator(), compute_loss_func=None,
        label_smoother=None, args=SimpleNamespace(loss_type="nll", average_tokens_across_devices=False), _tp_size=1,
        _total_train_tokens=0, _metrics=defaultdict(lambda: defaultdict(list)),
    )  # fmt: skip


def sft_case(seed: int) -> Numbers:
    data = draw(seed)
    flat = data["logprobs"].clone().requires_grad_()
    model = ModelLike(outputs_of(padded(flat), mask()))
    inputs = {"labels": mask(), "attention_mask": mask()}
    loss = sft_trainer.SFTTrainer.compute_loss(sft_trainer_like(), model, inputs)
    loss.backward()
    return {**plain(data), "loss": loss.item(), "gradient": flat.grad.tolist()}


def reward_case(options: Numbers) -> Numbers:
    scores = torch.tensor([0.4, -1.2, 2.5, 0.9, -0.3, 1.1], dtype=torch.float64, requires_grad=True)
    model = ModelLike(SimpleNamespace(logits=scores[:, None]))
    trainer = SimpleNamespace(
        model=model, accelerator=accelerator(), args=SimpleNamespace(center_rewards_coefficient=options.get("centering")),
        _metrics=defaultdict(lambda: defaultdict(list)), _total_train_tokens=0, _tp_size=1,
    )  # fmt: skip
    inputs: Numbers = {"attention_mask": torch.ones(6, 2)}
    if "margin" in options:
        inputs["margin"] = torch.tensor(options["margin"], dtype=torch.float64)
    loss = reward_trainer.RewardTrainer.compute_loss(trainer, model, inputs)
    loss.backward()
    metrics = {name: values[0] for name, values in trainer._metrics["train"].items() if name != "num_tokens"}
    case = {"options": options, "chosen": scores[:3].tolist(), "rejected": scores[3:].tolist(), "loss": loss.item()}
    return {**case, "gradient": scores.grad.tolist(), "metrics": metrics}


REWARD = [{}, {"margin": [0.5, 0.0, 2.0]}, {"centering": 0.01}, {"margin": [0.5, 0.0, 2.0], "centering": 0.01}]


def norm_of(module: torch.nn.Module) -> float:
    grads = [parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None]
    return torch.cat(grads).norm().item()


def end_to_end(options: Numbers, *, with_adapter: bool) -> Numbers:
    """TRL's collator, fused head and loss on a tiny model in single precision, and the length of all gradients."""
    fields = ("log_probs", "entropy", "mean_logits", "is_top1")
    reference = tiny.causal(0.0 if with_adapter else 0.1)
    module = tiny.adapted(0.0) if with_adapter else tiny.causal(0.0)
    for one in (reference, module.get_base_model() if with_adapter else module):
        add_fused_lm_head(one, outputs=fields)
    rows = [
        {"prompt_ids": p, "chosen_ids": c, "rejected_ids": r}
        for p, c, r in zip(tiny.PROMPTS, tiny.CHOSEN, tiny.REJECTED, strict=True)
    ]
    inputs = dpo_trainer.DataCollatorForPreference(pad_token_id=0)(rows)
    trainer = dpo_trainer_like(options, reference)
    loss = dpo_trainer.DPOTrainer._compute_loss(trainer, module, inputs, return_outputs=False)
    loss.backward()
    metrics = {name: trainer._metrics["train"][name][0] for name in (*METRICS, "entropy", "mean_token_accuracy")}
    case = {"options": options, "adapter": with_adapter, "loss": loss.item(), "grad_norm": norm_of(module)}
    return {**case, "metrics": metrics}


def end_to_end_sft() -> Numbers:
    """The same for fine-tuning on the chosen completions."""
    module = tiny.causal(0.0)
    add_fused_lm_head(module, outputs=("log_probs", "entropy", "is_top1"))
    rows = [{"input_ids": p + c, "labels": [-100] * len(p) + c} for p, c in zip(tiny.PROMPTS, tiny.CHOSEN, strict=True)]
    inputs = sft_trainer.DataCollatorForLanguageModeling(pad_token_id=0)(rows)
    trainer = sft_trainer_like()
    loss = sft_trainer.SFTTrainer.compute_loss(trainer, module, inputs)
    loss.backward()
    logged = {name: trainer._metrics["train"][name][0] for name in ("entropy", "mean_token_accuracy")}
    return {"loss": loss.item(), "grad_norm": norm_of(module), **logged}


def write(name: str, content: object) -> None:
    text = json.dumps(content, allow_nan=False)
    (HERE / name).write_text(text + "\n")


def main() -> None:
    assert trl.__version__ == "1.16.0", trl.__version__
    torch.set_default_dtype(torch.float64)  # TRL divides counts by counts, which would be rounded to single precision
    shape = {"trl": trl.__version__, "lengths": LENGTHS, "group": GROUP, "longest": LONGEST}
    policy = {name: grpo_case(options, 110 + n) for n, (name, options) in enumerate(GRPO.items())}
    write("trl_policy.json", {**shape, "grpo": policy, "rloo": rloo_case(40), "weights": importance_cases()})
    write("trl_advantages.json", {**shape, "cases": advantage_cases()})
    pairs = {name: dpo_case(options, 70 + n) for n, (name, options) in enumerate(DPO.items())}
    write("trl_direct.json", {**shape, "dpo": pairs, "sft": sft_case(80), "reward": [reward_case(o) for o in REWARD]})
    alone = {name: alone_case(options, 160 + n) for n, (name, options) in enumerate(ALONE.items())}
    single = {name: kto_case(options, 170 + n) for n, (name, options) in enumerate(KTO.items())}
    taught = [gkd_case(mix, temperature) for mix in (0.0, 0.1, 0.5, 1.0) for temperature in (1.0, 1.7)]
    write("trl_alone.json", {**shape, "alone": alone, "kto": single, "gkd": taught})
    torch.set_default_dtype(torch.float32)
    cases = [
        end_to_end(options, with_adapter=it)
        for it in (False, True)
        for options in DPO.values()
        if options["loss"] != "aot"
    ]
    write("trl_end_to_end.json", {"trl": trl.__version__, "dpo": cases, "sft": end_to_end_sft()})


if __name__ == "__main__":
    main()
