"""What both sides of the efficiency benchmark share: plain constants, importable without any dependency.

One cell of the benchmark is (environment, teacher, labels, seed). Both sides train the same algorithm with the same
networks for the same number of steps, and are judged by the true return of 20 deterministic episodes that start from
the same 20 seeded states.
"""

from __future__ import annotations

from typing import Any

ENVS: tuple[str, ...] = ("pendulum", "reacher", "cartpole")
TEACHERS: tuple[str, ...] = ("boltzmann", "error_free")
"""`boltzmann` has temperature 1 on summed true rewards; `error_free` names the better fragment, or a tie."""
REFERENCES: tuple[str, ...] = ("oracle", "sb3_zoo")
"""Runs on the true reward: the same algorithm, and the published settings of RL Baselines3 Zoo at equal steps."""
LABELS: tuple[int, ...] = (10, 25, 50, 100, 200)
SEEDS: tuple[int, ...] = (0, 1, 2, 3, 4)

EVAL_EPISODES = 20
EVAL_FIRST_SEED = 10_000
"""Evaluation episode i starts with `reset(seed=EVAL_FIRST_SEED + i)` and acts deterministically."""

RUNNERS: tuple[str, ...] = ("cheetah", "hopper")
"""Longer tasks, which `benchmarks/locomotion.py` asks of both sides; not in the grid of `benchmarks/efficiency.py`."""
GYM_IDS: dict[str, str] = {
    "pendulum": "Pendulum-v1",
    "reacher": "Reacher-v4",
    "cartpole": "CartPole-v1, fixed horizon",
    "cheetah": "HalfCheetah-v4",
    "hopper": "Hopper-v4",
}
OPTIONS: dict[str, dict[str, Any]] = {"hopper": {"terminate_when_unhealthy": False}}
"""Keyword arguments of an environment. A hopper that fell lies there until the time is up and is paid for nothing but
moving on, so that all episodes are of one length."""
TOTAL_TIMESTEPS: dict[str, int] = {
    "pendulum": 6_000,
    "reacher": 16_000,
    "cartpole": 60_000,
    "cheetah": 50_000,
    "hopper": 50_000,
}
FRAGMENT_LENGTH: dict[str, int] = {"pendulum": 50, "reacher": 25, "cartpole": 50, "cheetah": 50, "hopper": 50}
N_ENVS = 8

NET_ARCH: dict[str, tuple[int, ...]] = {
    "pendulum": (64, 64),
    "reacher": (64, 64),
    "cartpole": (64, 64),
    "cheetah": (128, 128),
    "hopper": (128, 128),
}
"""Hidden layers of the actor and of each critic (SAC: ReLU) or value network (PPO: tanh)."""

_SAC: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 1e-3,
    "gamma": 0.98,
    "tau": 0.01,
    "ent_coef": "auto",
    "train_freq": 1,  # steps of the vector environment, i.e. N_ENVS transitions
    "gradient_steps": 8,  # one update for each transition
}
_LONG: dict[str, Any] = {**_SAC, "batch_size": 128, "gamma": 0.99, "tau": 0.005, "learning_starts": 4_000}

ALGORITHM: dict[str, str] = {"pendulum": "sac", "reacher": "sac", "cartpole": "ppo", "cheetah": "sac", "hopper": "sac"}
ALGORITHM_KWARGS: dict[str, dict[str, Any]] = {
    "pendulum": {**_SAC, "learning_starts": 800},
    "reacher": {**_SAC, "learning_starts": 1_000},
    "cheetah": _LONG,
    "hopper": _LONG,
    "cartpole": {
        "n_steps": 256,
        "batch_size": 128,
        "n_epochs": 20,
        "learning_rate": 5e-4,
        "gamma": 0.99,
        "gae_lambda": 0.98,
        "target_kl": 0.03,
    },
}

ZOO: dict[str, dict[str, Any]] = {
    "pendulum": {"n_envs": 1, "learning_rate": 1e-3},
    # The zoo starts to learn at 10,000 of 1,000,000 steps; kept in proportion, that would be 160 of 16,000.
    "reacher": {"n_envs": 1, "learning_starts": 1_000},
    "cartpole": {
        "n_envs": 8,
        "n_steps": 32,
        "batch_size": 256,
        "gae_lambda": 0.8,
        "gamma": 0.98,
        "n_epochs": 20,
        "ent_coef": 0.0,
        "learning_rate": "lin_0.001",
        "clip_range": "lin_0.2",
    },
}
"""Settings of RL Baselines3 Zoo; everything else is the default of Stable-Baselines3. `lin_x` falls from x to 0."""

IMITATION: dict[str, Any] = {
    "n_envs": {"pendulum": 1, "reacher": 1, "cartpole": N_ENVS, "cheetah": 1, "hopper": 1},
    "reward_net_hidden": (32, 32),
    "num_iterations": 10,
    "min_labels_per_iteration": 2,  # with few labels, fewer iterations, so that none goes without a label
    "initial_comparison_frac": 0.1,
    "initial_epoch_multiplier": 20.0,
    "query_schedule": "hyperbolic",
    "transition_oversampling": 1,
    "exploration_frac": 0.05,
    "reward_trainer": {"epochs": 30},
}
"""Settings of `imitation`'s preference comparisons: its defaults, or where it did better another choice.

The choices were made on seeds 100 and 101, which are not in the benchmark, with one to four runs each of
`python -m peers.imitation_prefs --seed 100 --set ...`. The rows of these runs were not kept: their figures below can be
made again, but not looked up.

- One environment instead of eight for SAC, with the same number of updates for each step. `imitation` plays whole
  episodes in all environments whenever it asks for labels, and then starts all of them anew: with eight, it took
  41,800 steps instead of 9,000 on Pendulum, saw only the first 75 steps of its episodes in training, and ended worse.
- 30 epochs of reward learning instead of 3 after each further batch of labels. The first batch gets 600 epochs, as it
  does by default (3 epochs times a multiplier of 200). One Reacher run, 50 labels: -16.4 instead of -21.8.
- `initial_comparison_frac` 0.25 and 0.5 were tried on Pendulum with 25 labels: both were worse in the mean than 0.1.

It trains once more than it has iterations, so that 6,000 steps become 6,600; the rows count all steps.
"""
