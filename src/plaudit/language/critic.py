"""What a policy's completions will be worth, guessed before each token: a language model with one more number at its end."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Parameter

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout
from plaudit.errors import ConfigError, LearningError
from plaudit.language.experience import Score
from plaudit.language.scorer import TextReward, width_of
from plaudit.reward.dispatch import OVERALL


class Critic:
    """V(text before the token), linear in the hidden state behind the last norm.

    Args:
        model: a view of an adapter of its own, or a model of its own.
        weight: [hidden].
        bias: [].
    """

    def __init__(self, model: LanguageModel, weight: Tensor, bias: Tensor) -> None:
        dtype = torch.promote_types(model.dtype, torch.float32)
        self.model = model
        self.weight = Parameter(weight.detach().clone().to(model.device, dtype))
        self.bias = Parameter(bias.detach().clone().to(model.device, dtype))

    @classmethod
    def from_reward(cls, reward: TextReward, model: LanguageModel) -> Critic:
        """A critic that begins as the reward: its trunk's trained weights, and as head the mean of its overall heads.

        So begins the critic of Stiennon et al. 2020, https://arxiv.org/abs/2009.01325, appendix C.1. Its values are those of
        `TextReward.normalised`, which is what learners are paid.

        Args:
            reward: as it was fitted.
            model: whose weights (or adapter) become the reward's; a view of another adapter of the same module, with the
                same layers.

        Raises ConfigError where the models differ, or are the same.
        """
        ours, theirs = model.parameters(), reward.model.parameters()
        shared = {id(one) for one in ours} & {id(one) for one in theirs}
        if shared or [one.shape for one in ours] != [one.shape for one in theirs]:
            raise ConfigError(
                "The critic cannot begin as the reward",
                got="the reward's own weights"
                if shared
                else f"{len(ours)} parameters for {len(theirs)}, or other shapes",
                expected="an adapter of its own, with the rank and layers of the reward's",
                next_step='add one to the module, and give `model.view("critic")`',
            )
        with torch.no_grad():
            for one, other in zip(ours, theirs, strict=True):
                one.copy_(other)
        model.refresh()
        number = reward.names.index(OVERALL)
        heads, scale = reward.heads[number].detach().cpu().double(), reward.scale[number].double()
        return cls(model, (heads / scale[:, None]).mean(0), -(reward.offset[number].double() / scale).mean())

    @classmethod
    def fresh(cls, model: LanguageModel) -> Critic:
        """A critic that knows nothing: V = 0 everywhere."""
        return cls(model, torch.zeros(width_of(model)), torch.zeros(()))

    def parameters(self) -> list[Parameter]:
        """What is trained: the model's parameters, the head and its bias."""
        return [*self.model.parameters(), self.weight, self.bias]

    def values(self, batch: Batch) -> Tensor:
        """[T] V before each response token was written; with gradients.

        Read at the token before it, for the first one at the prompt's last: the value knows what the policy knew when it
        chose the token, which is what a baseline may know.
        """
        return self.model.hidden(batch, before=True).to(self.weight.dtype) @ self.weight + self.bias


def paid_by(reward: TextReward) -> Score:
    """Completions are worth what the members of a reward say on average, in deviations from the mean of the texts it was fitted to.

    One of which the reward says no number has no score. Raises LearningError where it says none at all: it is broken.
    """

    def score(rollout: Rollout) -> Tensor:
        found = torch.from_numpy(reward.normalised(rollout.batch).mean(axis=0))
        if not found.isfinite().any():
            raise LearningError(
                "The reward says no number of any completion", got=f"{len(found)} completions, {float(found[0])} of the first",
                next_step="fit the reward again, in float32 or with a smaller learning rate; what was learned so far is kept",
            )  # fmt: skip
        return found.where(found.isfinite(), torch.nan)

    return score
