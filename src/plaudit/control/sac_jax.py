"""SAC's update by SBX, Stable-Baselines3's twin on JAX: all updates of a call in one compiled loop.

SBX differs from Stable-Baselines3 in order only: the critics come first, then their targets, then actor and coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from plaudit.control.files import Arrays
from plaudit.control.replay import Batch
from plaudit.control.sac_nets import SACNets
from plaudit.models.kernels import FloatArray
from plaudit.run.optional import require

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Part:
    """One of SBX's train states, beside the vectors that it is copied from and to; the trees hold views of these."""

    weights: Tree
    first: Tree
    second: Tree
    vectors: tuple[FloatArray, FloatArray]
    """moments"""
    steps: np.ndarray
    """[1]"""


class JaxUpdate:
    """Calls the compiled loop of `sbx.SAC` on states that mirror the networks' vectors.

    Raises MissingExtra when SBX is not installed.
    """

    def __init__(self, nets: SACNets) -> None:
        sbx = require("sbx", "fast")
        self._jax: Any = require("jax", "fast")
        self._samples: Any = require("sbx.common.type_aliases", "fast").ReplayBufferSamplesNp
        config = nets.config
        self._nets = nets
        self._sbx: Any = sbx.SAC(
            "MlpPolicy", nets.model.env, learning_rate=config.learning_rate, buffer_size=1, seed=0,
            ent_coef=config.ent_coef if nets.learns_alpha else float(config.ent_coef), policy_kwargs={"net_arch": list(config.net)},
        )  # fmt: skip
        policy = self._sbx.policy
        self._states: dict[str, Any] = {
            "actor": policy.actor_state,
            "critic": policy.qf_state,
            "alpha": self._sbx.ent_coef_state,
        }
        self._parts = {"actor": _part(nets, _actor_tree, nets.actor), "critic": _part(nets, _critic_tree, nets.critic)}
        if nets.learns_alpha:
            self._parts["alpha"] = _part(nets, _alpha_tree, nets.log_alpha)
        self._target = _critic_tree(nets, nets.target)
        self._stale = True

    def train(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        """One update for each entry of the batch's first axis. Returns the losses of the last."""
        nets, states = self._nets, self._states
        if self._stale:
            self._push()
        updates, rows = batch.rewards.shape
        flat = self._samples(
            batch.observations.reshape(updates * rows, -1),
            nets.squashed(batch.actions).reshape(updates * rows, -1),
            batch.following.reshape(updates * rows, -1),
            1 - batch.continues.reshape(-1),
            batch.rewards.reshape(-1),
            np.full(updates * rows, nets.config.gamma, np.float32),
        )
        key = self._jax.random.PRNGKey(int(rng.integers(2**31)))
        alpha = float(np.exp(nets.log_alpha[0]))
        states["critic"], states["actor"], states["alpha"], _, (actor_loss, critic_loss, alpha_loss, _) = (
            self._sbx._train(
                nets.config.tau,
                nets.target_entropy,
                updates,
                flat,
                1,
                0,
                states["critic"],
                states["actor"],
                states["alpha"],
                key,
            )
        )
        self._pull()
        losses = {
            "train/actor_loss": float(actor_loss),
            "train/critic_loss": float(critic_loss),
            "train/ent_coef": alpha,
        }
        return losses | ({"train/ent_coef_loss": float(alpha_loss)} if nets.learns_alpha else {})

    def arrays(self) -> Arrays:
        """State of the optimisers."""
        found: Arrays = {}
        for name, part in self._parts.items():
            found |= {f"{name}.first": part.vectors[0], f"{name}.second": part.vectors[1], f"{name}.steps": part.steps}
        return found

    def load(self, arrays: Arrays) -> None:
        """Inverse of `arrays`."""
        for name, here in self.arrays().items():
            here[:] = arrays[name]
        self._stale = True

    def hand_over(self) -> None:
        """Give the optimisers of the Stable-Baselines3 model their state."""
        self._nets.hand_over({name: (part.vectors, int(part.steps[0])) for name, part in self._parts.items()})

    def _push(self) -> None:
        """Copy vectors to states."""
        jax = self._jax

        def copied(tree: Tree) -> Any:
            return jax.tree.map(partial(jax.numpy.array, copy=True), tree)

        for name, part in self._parts.items():
            state = self._states[name]
            adam = _adam_of(state)._replace(
                count=jax.numpy.array(part.steps[0], dtype="int32"), mu=copied(part.first), nu=copied(part.second)
            )
            inner = state.opt_state
            rest = (
                inner._replace(inner_state=(adam, *inner.inner_state[1:]))
                if hasattr(inner, "inner_state")
                else (adam, *inner[1:])
            )
            self._states[name] = state.replace(params=copied(part.weights), opt_state=rest)
        self._states["critic"] = self._states["critic"].replace(target_params=copied(self._target))
        self._stale = False

    def _pull(self) -> None:
        """Copy states to vectors."""

        def copy(views: Tree, values: Any) -> None:
            self._jax.tree.map(np.copyto, views, values)

        for name, part in self._parts.items():
            state, adam = self._states[name], _adam_of(self._states[name])
            copy(part.weights, state.params)
            copy(part.first, adam.mu)
            copy(part.second, adam.nu)
            part.steps[0] = int(adam.count)
        copy(self._target, self._states["critic"].target_params)


def _adam_of(state: Any) -> Any:
    """optax's ScaleByAdamState within a train state."""
    return getattr(state.opt_state, "inner_state", state.opt_state)[0]


def _part(nets: SACNets, tree: Any, weights: FloatArray) -> _Part:
    moments = np.zeros_like(weights), np.zeros_like(weights)
    return _Part(tree(nets, weights), tree(nets, moments[0]), tree(nets, moments[1]), moments, np.zeros(1, np.int64))


def _actor_tree(nets: SACNets, flat: FloatArray) -> Tree:
    *hidden, heads = (block[0] for block in nets.actor_shape.blocks(flat))
    layers = [*hidden, heads[:, : nets.action_size], heads[:, nets.action_size :]]
    return {
        "params": {f"Dense_{index}": {"kernel": layer[:-1], "bias": layer[-1]} for index, layer in enumerate(layers)}
    }


def _critic_tree(nets: SACNets, flat: FloatArray) -> Tree:
    layers = nets.critic_shape.blocks(flat)
    dense = {f"Dense_{index}": {"kernel": layer[:, :-1], "bias": layer[:, -1]} for index, layer in enumerate(layers)}
    return {"params": {"VmapContinuousCritic_0": dense}}


def _alpha_tree(nets: SACNets, flat: FloatArray) -> Tree:
    del nets
    return {"log_ent_coef": flat.reshape(())}
