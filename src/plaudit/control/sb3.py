"""Between plaudit and Stable-Baselines3: a world as its vector environment, and its layers on plaudit's memory."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from plaudit.control.rewards import RewardFn
from plaudit.models.kernels import FloatArray
from plaudit.worlds.vector import VectorWorld


class WorldVecEnv(VecEnv):
    """A `VectorWorld` as any Stable-Baselines3 algorithm takes it; what happens is recorded in the world's behaviour.

    Args:
        world: the world.
        reward: pays instead of the environment, for example a learned reward; None leaves the environment's own.
    """

    def __init__(self, world: VectorWorld, reward: RewardFn | None = None) -> None:
        self.world = world
        self._reward = reward
        self._actions: NDArray[Any] = np.empty(0)
        super().__init__(world.n_envs, world.observation_space, world.action_space)

    def reset(self) -> VecEnvObs:
        """Start fresh episodes; the first environment's seed, if `seed` was called, decides all."""
        observations = self.world.reset(self._seeds[0])
        self._reset_seeds()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:  # pyright: ignore[reportUnknownParameterType] - its infos are plain dicts
        """Act. Rewards are those of `reward` if it was given."""
        step = self.world.step(self._actions)
        rewards = step.rewards
        if self._reward is not None:
            newest = slice(len(self.world.behaviour) - 1, None)
            rewards = self._reward(self.world.behaviour.batch(newest))[:, 0]
        done = step.terminated | step.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for env in np.flatnonzero(done):
            infos[env]["terminal_observation"] = step.final_observations[env]
            infos[env]["TimeLimit.truncated"] = bool(step.truncated[env] and not step.terminated[env])
        return step.observations, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the world."""
        self.world.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """`render_mode` is None; the environments themselves are out of reach."""
        if attr_name != "render_mode":
            raise AttributeError(attr_name)
        return [None] * self.num_envs

    def has_attr(self, attr_name: str) -> bool:
        """Only `render_mode`."""
        return attr_name == "render_mode"

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refused: a world's environments are not changed from outside."""
        raise AttributeError(attr_name)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refused, like `set_attr`."""
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """A world counts as not wrapped."""
        return [False] * self.num_envs


@contextmanager
def own_streams(seed: int) -> Generator[None]:
    """Seed torch's and numpy's global streams inside, and leave them outside as they were."""
    numpy_state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)


@contextmanager
def light_optimizers() -> Generator[None]:
    """Make and read torch optimisers inside without importing torch's compiler.

    The first use of any optimiser's method otherwise imports torch._dynamo, only to tell it to stay away from that method:
    one CPU-second, three on a cold cache, as much as learning Pendulum takes. Inside, such methods are called as they are.
    """
    methods = [
        getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None) for name in ("add_param_group", "state_dict")
    ]
    plain = [] if "torch._dynamo" in sys.modules else [method for method in methods if method is not None]
    for method in plain:
        setattr(method, "__dynamo_disable", method)
    try:
        yield
    finally:
        for method in plain:
            delattr(method, "__dynamo_disable")


def adopt(linear: object, block: FloatArray) -> None:
    """Move a linear layer's weights into `block` [input + 1, output], and let the layer look at them there.

    From then on the network and the block are the same numbers: a step in place on one is a step of the other.
    """
    assert isinstance(linear, torch.nn.Linear)
    block[:-1] = linear.weight.detach().numpy().T
    block[-1] = linear.bias.detach().numpy()
    linear.weight.data = torch.from_numpy(block[:-1].T)
    linear.bias.data = torch.from_numpy(block[-1])


def linears(network: torch.nn.Module) -> list[torch.nn.Linear]:
    """The linear layers of a network, in order."""
    return [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]


Moments = tuple[FloatArray, FloatArray]
"""running means of the gradient and of its square, laid out like the weights"""


def write_moments(optimizer: torch.optim.Optimizer, parameters: FloatArray, moments: Moments, steps: int) -> None:
    """Set the state of a torch Adam whose weights lie in the vector `parameters`, see `adopt`."""
    optimizer.state.clear()
    for weights, first, second in _places(optimizer, parameters, moments) if steps else ():
        optimizer.state[weights] = {
            "step": torch.tensor(float(steps)),
            "exp_avg": torch.from_numpy(first.copy()),
            "exp_avg_sq": torch.from_numpy(second.copy()),
        }


def write_squares(optimizer: torch.optim.Optimizer, parameters: FloatArray, squares: FloatArray, steps: int) -> None:
    """Set the state of a torch RMSprop whose weights lie in the vector `parameters`, see `adopt`."""
    optimizer.state.clear()
    for weights, second, _ in _places(optimizer, parameters, (squares, squares)) if steps else ():
        optimizer.state[weights] = {
            "step": torch.tensor(float(steps)),
            "square_avg": torch.from_numpy(second.copy()),
        }


def read_moments(optimizer: torch.optim.Optimizer, parameters: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Inverse of `write_moments`: both moments and the number of steps."""
    moments, steps = (np.zeros_like(parameters), np.zeros_like(parameters)), 0
    for weights, first, second in _places(optimizer, parameters, moments):
        if state := optimizer.state.get(weights):
            first[...], second[...], steps = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy(), int(state["step"])
    return *moments, steps


def _places(
    optimizer: torch.optim.Optimizer, parameters: FloatArray, moments: Moments
) -> Iterator[tuple[torch.nn.Parameter, FloatArray, FloatArray]]:
    """Every weight tensor of an optimiser, with views of the moments that belong to it."""
    for group in optimizer.param_groups:
        for weights in group["params"]:
            start = (weights.data_ptr() - parameters.ctypes.data) // parameters.itemsize
            strides = [stride * parameters.itemsize for stride in weights.stride()]
            first, second = (
                np.lib.stride_tricks.as_strided(moment[start:], weights.shape, strides) for moment in moments
            )
            yield weights, first, second
