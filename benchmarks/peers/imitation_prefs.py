"""One cell of the efficiency benchmark with `imitation` 1.0.1; appends one JSON row to a file.

Run it with the Python of an environment that has `imitation`, from the folder `benchmarks`:

    python -m peers.imitation_prefs --env pendulum --teacher boltzmann --labels 50 --seed 0 --out rows.jsonl

The teachers `oracle` and `sb3_zoo` train Stable-Baselines3 on the true reward instead, without any preference.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from imitation.algorithms import preference_comparisons as pc
from imitation.policies.replay_buffer_wrapper import ReplayBufferRewardWrapper
from imitation.rewards.reward_nets import BasicRewardNet
from imitation.util import logger as imitation_logger
from imitation.util.networks import RunningNorm
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from peers import protocol
from peers.envs import make_env

IMPORT_CPU_S = time.process_time()

PACKAGES = ("imitation", "stable-baselines3", "gymnasium", "mujoco", "torch", "numpy")


class StepCounter(VecEnvWrapper):
    """Counts every step taken in the environments under it, whoever asks for it."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.steps = 0

    def reset(self) -> Any:
        """Reset all environments; that takes no step."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """Count one step for each environment."""
        self.steps += self.num_envs
        return self.venv.step_wait()


def linear(value: Any) -> float | Callable[[float], float]:
    """Read the zoo's `lin_x` as a schedule that falls from x to 0; leave anything else as it is."""
    if isinstance(value, str) and value.startswith("lin_"):
        start = float(value.removeprefix("lin_"))
        return lambda progress_remaining: progress_remaining * start
    return value


def make_algorithm(
    env: str, venv: VecEnv, seed: int, zoo: bool = False, reward_net: BasicRewardNet | None = None
) -> BaseAlgorithm:
    """Build SAC or PPO as the protocol says.

    With `reward_net`, SAC asks it for the reward of each transition it draws from its replay buffer.
    """
    if zoo:
        kwargs = {name: linear(value) for name, value in protocol.ZOO[env].items() if name != "n_envs"}
    else:
        kwargs = {**protocol.ALGORITHM_KWARGS[env], "policy_kwargs": {"net_arch": list(protocol.NET_ARCH[env])}}
    if protocol.ALGORITHM[env] == "ppo":
        return PPO("MlpPolicy", venv, seed=seed, device="cpu", **kwargs)
    if not zoo:
        kwargs["gradient_steps"] = kwargs["gradient_steps"] * venv.num_envs // protocol.N_ENVS  # keep updates per step
    kwargs["buffer_size"] = 10 * protocol.TOTAL_TIMESTEPS[env]  # never full, so nothing is forgotten
    if reward_net is not None:
        kwargs["replay_buffer_class"] = ReplayBufferRewardWrapper
        kwargs["replay_buffer_kwargs"] = {
            "replay_buffer_class": ReplayBuffer,
            "reward_fn": reward_net.predict_processed,
        }
    return SAC("MlpPolicy", venv, seed=seed, device="cpu", **kwargs)


def train_from_preferences(
    env: str, venv: VecEnv, teacher: str, labels: int, seed: int, settings: dict[str, Any]
) -> tuple[BaseAlgorithm, dict[str, Any]]:
    """Train the algorithm on a reward learned from `labels` synthetic comparisons; also return facts for the row."""
    rng = np.random.default_rng(seed)
    th.manual_seed(seed)
    reward_net = BasicRewardNet(
        venv.observation_space,
        venv.action_space,
        hid_sizes=settings["reward_net_hidden"],
        normalize_input_layer=RunningNorm,
    )
    algorithm = make_algorithm(env, venv, seed, reward_net=reward_net)
    num_iterations = max(1, min(settings["num_iterations"], labels // settings["min_labels_per_iteration"]))
    with tempfile.TemporaryDirectory() as log_folder:
        comparisons = pc.PreferenceComparisons(
            pc.AgentTrainer(
                algorithm=algorithm,
                reward_fn=reward_net,
                venv=venv,
                rng=rng,
                exploration_frac=settings["exploration_frac"],
            ),
            reward_net,
            num_iterations=num_iterations,
            fragmenter=pc.RandomFragmenter(rng=rng, warning_threshold=0),
            preference_gatherer=pc.SyntheticGatherer(temperature=0 if teacher == "error_free" else 1, rng=rng),
            reward_trainer=pc.BasicRewardTrainer(
                preference_model=pc.PreferenceModel(reward_net),
                loss=pc.CrossEntropyRewardLoss(),
                rng=rng,
                **settings["reward_trainer"],
            ),
            fragment_length=protocol.FRAGMENT_LENGTH[env],
            transition_oversampling=settings["transition_oversampling"],
            initial_comparison_frac=settings["initial_comparison_frac"],
            initial_epoch_multiplier=settings["initial_epoch_multiplier"],
            query_schedule=settings["query_schedule"],
            custom_logger=imitation_logger.configure(log_folder, format_strs=[]),
        )
        result = comparisons.train(total_timesteps=protocol.TOTAL_TIMESTEPS[env], total_comparisons=labels)
    given = np.asarray(comparisons.dataset.preferences)
    return algorithm, {
        "labels_in_dataset": len(given),
        "ties": int(np.sum(given == 0.5)),
        "num_iterations": num_iterations,
        "reward_accuracy": float(result["reward_accuracy"]),
        "settings": settings,
    }


def true_returns(env: str, algorithm: BaseAlgorithm) -> list[float]:
    """True returns of the deterministic policy from the common starts."""
    world = make_env(env)
    returns = []
    for episode in range(protocol.EVAL_EPISODES):
        observation, _ = world.reset(seed=protocol.EVAL_FIRST_SEED + episode)
        total, over = 0.0, False
        while not over:
            action, _ = algorithm.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = world.step(action)
            total += float(reward)
            over = terminated or truncated
        returns.append(total)
    return returns


def run_cell(env: str, teacher: str, labels: int, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Run one cell in this process and return its row."""
    zoo = teacher == "sb3_zoo"
    n_envs = {"oracle": protocol.N_ENVS, "sb3_zoo": protocol.ZOO.get(env, {}).get("n_envs")}.get(
        teacher, settings["n_envs"][env]
    )
    venv = StepCounter(make_vec_env(lambda: make_env(env), n_envs=n_envs, seed=seed))
    facts: dict[str, Any] = {}
    if teacher in protocol.REFERENCES:
        algorithm = make_algorithm(env, venv, seed, zoo=zoo)
        algorithm.learn(protocol.TOTAL_TIMESTEPS[env])
    else:
        algorithm, facts = train_from_preferences(env, venv, teacher, labels, seed, settings)
    cpu_before_evaluation = time.process_time()
    returns = true_returns(env, algorithm)
    cpu_s = time.process_time()
    return {
        "peer": "imitation" if teacher in protocol.TEACHERS else "stable-baselines3",
        "env": env,
        "gym_id": protocol.GYM_IDS[env],
        "teacher": teacher,
        "labels": labels,
        "seed": seed,
        "algorithm": protocol.ALGORITHM[env],
        "n_envs": n_envs,
        "env_steps_asked": protocol.TOTAL_TIMESTEPS[env],
        "env_steps_training": algorithm.num_timesteps,
        "env_steps_total": venv.steps,
        "true_return": float(np.mean(returns)),
        "returns": [round(value, 4) for value in returns],
        **facts,
        "cpu_s": round(cpu_s, 3),
        "import_cpu_s": round(IMPORT_CPU_S, 3),
        "evaluation_cpu_s": round(cpu_s - cpu_before_evaluation, 3),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "threads": th.get_num_threads(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def main() -> None:
    """Read the command line, run the cell, append its row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--env", required=True, choices=protocol.ENVS + protocol.RUNNERS)
    parser.add_argument("--teacher", required=True, choices=protocol.TEACHERS + protocol.REFERENCES)
    parser.add_argument("--labels", type=int, default=0, help="comparisons to ask for; ignored without a teacher")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="file that gets one more line")
    parser.add_argument("--set", type=json.loads, default={}, help="JSON object that overrides settings of imitation")
    arguments = parser.parse_args()
    th.set_num_threads(1)
    labels = arguments.labels if arguments.teacher in protocol.TEACHERS else 0
    settings = {**protocol.IMITATION, **arguments.set}
    row = run_cell(arguments.env, arguments.teacher, labels, arguments.seed, settings)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
