"""Names and meanings of what the stages of language models log, by stage: one name may mean different things in two of them.

A test takes a step of each stage and asserts that everything that it logs is listed here. Names are TRL's where TRL has the
number. "Over" says what a mean divides by. A rollout may be learned from in several optimiser steps; what is then measured in
each, such as `loss`, is the mean over these steps.
"""

from __future__ import annotations

UPDATE = {
    "loss": "what was minimised, all micro-batches together",
    "grad_norm": "length of the gradient of all trained parameters, before it is cut down to `max_grad_norm`",
    "learning_rate": "step size that the schedule gave",
    "skipped_steps": "optimiser steps so far whose loss or gradient was not finite; they changed nothing",
}
"""what every optimiser step says"""

COMPLETIONS = {
    "num_tokens": "tokens of the rollout's completions, ends included, prompts not",
    "completions/clipped_ratio": "share of completions that `max_tokens` cut off before they ended; over all completions",
    "completions/mean_length": "tokens of a completion; over all completions",
    "completions/min_length": "tokens of the shortest completion",
    "completions/max_length": "tokens of the longest completion",
    "completions/mean_terminated_length": "tokens of a completion; over those that ended by themselves, 0 where none did",
    "completions/min_terminated_length": "tokens of the shortest completion that ended by itself, 0 where none did",
    "completions/max_terminated_length": "tokens of the longest completion that ended by itself, 0 where none did",
}
"""what every stage says of the completions that it sampled"""

_LIKELIEST = "as none was likelier there"
SFT = UPDATE | {
    "loss": "mean negative log-likelihood in nats; over completion tokens, each with its example's weight",
    "entropy": "of the next token's distribution, in nats; over all completion tokens of the batch, weights apart",
    "mean_token_accuracy": f"share of tokens that the model would have written, {_LIKELIEST}; over all completion tokens of the batch, weights apart",
    "num_tokens": "completion tokens of the batch, those of prompts not",
}

DIRECT = UPDATE | {
    "loss": "mean loss of a pair; over the pairs of the batch",
    "rewards/chosen": "beta times the sum of log policy - log reference over a chosen completion; over pairs",
    "rewards/rejected": "the same of rejected completions; over pairs",
    "rewards/margins": "chosen less rejected; over pairs",
    "rewards/accuracies": "share of pairs whose margin is above 0; over pairs",
    "logps/chosen": "log-probability of a chosen completion, summed over its tokens; over pairs. It mostly falls",
    "logps/rejected": "the same of rejected completions; over pairs",
    "entropy": "of the next token's distribution, in nats; over all completion tokens of the batch, chosen and rejected",
    "mean_token_accuracy": f"share of tokens that the policy would have written, {_LIKELIEST}; over tokens of chosen completions",
    "num_tokens": "completion tokens of the batch, chosen and rejected, those of prompts not",
    "nll_loss": "negative log-likelihood of chosen completions in nats, where it is a part of the loss; over their tokens",
}

UNPAIRED = UPDATE | {
    "loss": "mean loss of an answer, each with the weight of its sort; over the answers of the batch",
    "kl": "the drift: mean of log policy - log reference, summed over tokens, of completions behind other prompts, at least 0; "
    "over the batch",
    "rewards/chosen": "beta times the sum of log policy - log reference over a good answer; over those of the batch, if any",
    "rewards/rejected": "the same of bad answers",
    "rewards/margins": "good less bad, where the batch has both",
    "logps/chosen": "log-probability of a good answer, summed over its tokens; over those of the batch, if any",
    "logps/rejected": "the same of bad answers",
    "entropy": "of the next token's distribution, in nats; over all completion tokens of the batch",
    "num_tokens": "completion tokens of the batch, those of prompts not",
}

OFFLINE = UPDATE | {
    "loss": "advantage: weighted negative log-likelihood over completion tokens; importance: minus the mean weighted advantage",
    "weight_mean": "weight of an answer; over the batch",
    "weight_max": "largest weight in the batch",
    "effective_samples": "(sum of weights)^2 / sum of their squares: so many answers of the policy itself would say as much",
    "logps": "log-probability of a completion, summed over its tokens; over the batch",
    "entropy": "of the next token's distribution, in nats; over all completion tokens of the batch",
    "num_tokens": "completion tokens of the batch, those of prompts not",
}

REWARD = UPDATE | {
    "loss": "mean negative log-likelihood in nats; over answers of the batch and members that learn from them, with the center's price",
    "reward/center": "mean square of scores, which the price `center` holds near 0; over members and texts of the batch",
    "reward/labels": "answers that the fit used",
    "reward/texts_too_long": "texts that do not fit into the model's context; answers about them are left out",
    "reward/texts_empty": "texts of no token; answers about them are left out",
    "reward/accuracy_heldout": "share that the members' mean orders right; over decided comparisons about held-out prompts",
    "reward/comparisons_heldout": "how many these are; told once, at the end",
    "reward/accuracy_train": "the same over some of the answers that were learned from; only where no prompts are held out",
    "reward/log_likelihood": "of an answer, in nats; over the same answers",
    "reward/ece": "expected calibration error of the probabilities of the same answers",
    "reward/lapse": "share of answers taken to be given at random",
}

_PTX = (
    "negative log-likelihood of examples that are imitated along the way, in nats; over their tokens, before its weight"
)
_STEPS = "steps that are paid by themselves, with a process; over all completions"
_WEIGHTS = (
    "weight that corrects for a sampler that is not quite the policy, with `correction`; over all completion tokens"
)
_SAMPLER = {
    "sampling/sampling_logp_difference/mean": "absolute difference of the sampler's recorded log-probabilities and those that "
    "ratios begin from, in nats; over all completion tokens",
    "sampling/sampling_logp_difference/max": "the largest such difference",
    "sampling/importance_sampling_ratio/min": f"least {_WEIGHTS}",
    "sampling/importance_sampling_ratio/mean": f"mean {_WEIGHTS}",
    "sampling/importance_sampling_ratio/max": f"largest {_WEIGHTS}",
}
_SAMPLED = "over all completion tokens that have a score"

GROUP = (
    UPDATE
    | COMPLETIONS
    | _SAMPLER
    | {
        "loss": "what was minimised: `policy_loss`, with the prices of distance and entropy where these are part of the loss",
        "ptx_loss": _PTX,
        "rewards/steps": _STEPS,
        "policy_loss": "the surrogate's part; over what the setting `average` says",
        "entropy": f"of the next token's distribution, in nats; {_SAMPLED}",
        "kl": f"k3 estimate of KL(policy || reference) per token, in nats, never negative; {_SAMPLED}",
        "objective/kl": "k1 estimate of KL(policy || reference) in nats per completion, summed over tokens; over completions with a "
        "score. What `kl_target` is about; may be negative",
        "kl_coef": "price of a nat of distance",
        "clip_ratio/low_mean": f"share of tokens whose ratio is held back below; {_SAMPLED}",
        "clip_ratio/high_mean": f"share of tokens whose ratio is held back above; {_SAMPLED}",
        "clip_ratio/region_mean": f"share of tokens whose ratio is held back on either side; {_SAMPLED}",
        "sampling/sampling_logp_difference/mean": "absolute difference of the sampler's recorded log-probabilities and those "
        f"that ratios begin from, in nats; {_SAMPLED}",
        "reward": "what completions are paid, after limits and fines; over completions with a score",
        "reward_std": "standard deviation within a group; over groups",
        "frac_reward_zero_std": "share of groups in which all completions are paid the same, which teaches nothing; over groups",
        "rewards/score/mean": "score as it came, before limits and fines; over completions with a score",
        "rewards/score/std": "its standard deviation; over completions with a score",
        "rewards/unscored": "share of completions without a score; over all completions",
    }
)

PPO = (
    COMPLETIONS
    | _SAMPLER
    | {
        "objective/kl": "k1 estimate of KL(policy || reference) in nats per completion, summed over tokens; over completions with a "
        "score. May be negative",
        "objective/kl_coef": "price of a nat of distance",
        "objective/entropy": "-log-probability of the sampled tokens in nats per completion, summed; over completions with a score",
        "objective/non_score_reward": "what the distance costs a completion: -`objective/kl_coef` times `objective/kl`",
        "objective/rlhf_reward": "what completions are paid, less what the distance costs; over completions with a score",
        "objective/scores": "score as it came, before scaling, limits and fines; over completions with a score",
        "loss/policy_avg": f"clipped surrogate; {_SAMPLED}",
        "loss/value_avg": f"loss of the critic; {_SAMPLED}",
        "ptx_loss": _PTX,
        "rewards/steps": _STEPS,
        "policy/loss": "what was minimised for the policy: `loss/policy_avg`, with the entropy's price",
        "policy/grad_norm": UPDATE["grad_norm"],
        "policy/skipped_steps": UPDATE["skipped_steps"],
        "policy/approxkl_avg": f"half the squared log ratio of new and old policy; {_SAMPLED}",
        "policy/clipfrac_avg": f"share of tokens whose ratio is held back; {_SAMPLED}",
        "policy/entropy_avg": f"of the next token's distribution, in nats; {_SAMPLED}",
        "lr": "step size that the schedule gave the policy",
        "critic/loss": "what was minimised for the critic, equal to `loss/value_avg`",
        "critic/grad_norm": UPDATE["grad_norm"],
        "critic/learning_rate": UPDATE["learning_rate"],
        "critic/skipped_steps": UPDATE["skipped_steps"],
        "critic/vf_explained_var": f"share of the returns' variance that values explain before the step; {_SAMPLED}",
        "val/clipfrac_avg": f"share of tokens whose value is held back; {_SAMPLED}",
        "val/ratio": f"probability under the new policy over that under the old one; {_SAMPLED}",
        "val/ratio_var": f"its variance; {_SAMPLED}",
        "val/num_eos_tokens": "completions that ended by themselves",
        "episode": "completions learned from so far",
    }
)

BEST_OF_N = COMPLETIONS | {
    "best_of_n/n": "completions drawn for each prompt",
    "best_of_n/kl_bound": "log n - (n - 1) / n: the most nats per completion that the best is away from the model",
    "best_of_n/score_mean": "score; over all completions with one",
    "best_of_n/score_best": "score of each prompt's best completion; over prompts with one",
    "best_of_n/unscored": "share of completions without a score; over all completions",
}

GUARD = {
    "guard/win_share": "share of fresh pairs in which the policy is better than its best checkpoint, corrected for wrong answers; over "
    "the newest check's answers. Only after a check, as all of these",
    "guard/win_share_low": "lower end of its 95 % interval",
    "guard/win_share_high": "upper end of its 95 % interval",
    "guard/log_wealth": "evidence of the whole run so far that the policy is judged worse, in nats: the alarm is raised at "
    "-log(level), 3.0 for 5 %",
    "guard/quality": "judged so far: logits of corrected shares of wins, added up from the start over the best checkpoints",
    "guard/pairs": "pairs asked about so far",
    "guard/best": "rollouts behind the best checkpoint",
    "guard/ended": "1 where the guard ended the training, else 0",
}
"""what a training with a guard says besides, after each check"""
_SCORED = {
    "reward": "score, less the fine for a missing end; over completions with a score",
    "rewards/unscored": "share of completions without a score; over all completions",
}

ONLINE = (
    {name: meaning for name, meaning in DIRECT.items() if name != "nll_loss"}
    | COMPLETIONS
    | _SCORED
    | {
        "frac_reward_zero_std": "share of prompts whose completions all score the same, which make no pair; over prompts"
    }
)

REST = (
    SFT
    | COMPLETIONS
    | _SCORED
    | {
        "entropy": "of the next token's distribution, in nats; over the tokens that are imitated",
        "reward_kept": "the same as `reward` of what was imitated last",
        "kept": "completions that were imitated last: the best of their prompt that reach the highest threshold",
    }
)

DISTILL = UPDATE | {
    "loss": "the divergence",
    "divergence": "of the student's next-token distributions from the teacher's, in nats; over completion tokens of the batch",
    "num_tokens": "completion tokens of the batch, those of prompts not",
}

STAGES = {
    "sft": ("Fine-tuning (sft)", SFT),
    "direct": ("Direct alignment (direct)", DIRECT),
    "unpaired": ("Alignment from single answers (unpaired): KTO", UNPAIRED),
    "offline": ("Logged answers with scores (offline)", OFFLINE),
    "reward": ("Reward of texts (reward)", REWARD),
    "group": ("Groups (group): GRPO, RLOO and their kin", GROUP),
    "ppo": ("PPO (ppo)", PPO),
    "distill": ("Distillation (distill)", DISTILL),
    "online": ("Online DPO (online)", ONLINE),
    "rest": ("Rejection sampling and ReST (rest)", REST),
    "best_of_n": ("Best of n", BEST_OF_N),
    "guard": ("Guard, of groups and PPO", GUARD),
}
"""title and metrics of each stage"""
