"""A share of imitation in every step of a policy that is optimised against a reward (PTX), so that it does not unlearn to write.

Ouyang et al. 2022, https://arxiv.org/abs/2203.02155, equation 2, whose last term this is, in nats per token.

mixture = Mixture(model, examples, MixtureConfig(weight=0.5), seed=0)
group = Group(model, preset("grpo"), seed=0, mixture=mixture)       # PPO has it too
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.errors import ConfigError
from plaudit.language.experience import Sums
from plaudit.language.sft import rows_to_imitate
from plaudit.language.texts import Example
from plaudit.language.update import Update, named, parts, rows_of_step
from plaudit.ops.tokens import negative_log_likelihood, totals


@dataclass(frozen=True, slots=True)
class MixtureConfig:
    """A share of imitation in every step of a policy."""

    weight: float = 0.5
    """of the examples' negative log-likelihood per token, beside the policy's loss"""
    batch_size: int = 16
    """examples in each optimiser step"""
    max_length: int = 1024
    """tokens of prompt and completion; longer examples are left out"""

    def __post_init__(self) -> None:
        if not self.weight > 0 or min(self.batch_size, self.max_length) < 1:
            raise ConfigError(
                "The settings of mixed-in imitation are out of range", got=self, expected="weight > 0, counts >= 1"
            )


class Mixture:
    """Examples that are imitated along the way.

    Args:
        model: with the tokenizer of the policy.
        examples: prompts with completions.
        config: settings.
        seed: of the order of examples.

    Attributes:
        name: of settings, seed and texts, which a training that mixes them in depends on.
    """

    def __init__(self, model: LanguageModel, examples: Sequence[Example], config: MixtureConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.rows, self.weights = rows_to_imitate(model, examples, config.max_length)
        listed = zip(self.rows, self.weights.tolist(), strict=True)
        self.name = named(config, seed, [[row.prompt, row.completions[0], weight] for row, weight in listed])

    def shares(self, model: LanguageModel, update: Update, sums: Sums) -> Iterator[Tensor]:
        """What is added to the loss of the update's next step, by micro-batches; `ptx_loss` (before its weight) goes to `sums`."""
        count, size = len(self.rows), self.config.batch_size
        drawn = rows_of_step(update.done, size, count=count, seed=self.seed, name="mixture")
        batch = Batch.of(
            [self.rows[place].prompt for place in drawn], [self.rows[place].completions for place in drawn]
        )
        weights = self.weights[drawn][batch.row]
        whole = totals(batch.row, len(batch), weights=weights)
        for part in parts(batch, update.config.tokens(model.device)):
            logprobs = model.logprobs(part.batch).logprobs
            here = weights[part.tokens].to(logprobs)
            loss = negative_log_likelihood(logprobs, part.batch.row.to(here.device), whole=whole, weights=here)
            sums.add({"ptx_loss": loss})
            yield self.config.weight * loss


def mixed(mixture: Mixture | None) -> tuple[str, ...]:
    """What a training's name has more with a mixture."""
    return () if mixture is None else (mixture.name,)
