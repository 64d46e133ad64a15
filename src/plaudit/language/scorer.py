"""A reward of texts: K heads for each reward on one language model, read at the last token of an answer.

The mean over members of the `overall` head is what `AutoModelForSequenceClassification` of Transformers computes with one
label (`export`), so TRL, RewardBench and others load it. Scores are in log-odds units, as fitted: without ties and lapses a
member believes that the first of two answers is better with probability sigmoid(score of the first - score of the second).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.load import EXTRA
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Group, Ids, Tokeniser
from plaudit.errors import ConfigError, IntegrityError, LearningError
from plaudit.records import Scores, TextSegment
from plaudit.records.codec import from_json, to_json
from plaudit.reward.dispatch import OVERALL
from plaudit.reward.evidence import AnswerModel
from plaudit.run.optional import require

HEADS, FACTS = "heads.safetensors", "reward.json"
FORMAT = 1
TOKENS = 8192
"""tokens that are scored at once"""


@dataclass(eq=False)
class TextReward:
    """Rewards of texts with everything it takes to use them.

    Attributes:
        model: the language model that is read; the adapter of its view belongs to the reward.
        names: of the rewards: `overall`, and `cost/<constraint>` and `aspect/<name>` where answers were about these.
        heads: [reward, member, hidden], fp32.
        offset: [reward, member] mean score of the texts that answers were about, in log-odds units.
        scale: [reward, member] standard deviation of these scores.
        annotators: how values became answers, for each reward.
    """

    model: LanguageModel
    names: tuple[str, ...]
    heads: Tensor
    offset: Tensor
    scale: Tensor
    annotators: Mapping[str, AnswerModel]

    @classmethod
    def fresh(cls, model: LanguageModel, names: Sequence[str], members: int, seed: int) -> TextReward:
        """Heads drawn from N(0, 1/(hidden + 1)), as of Stiennon et al. 2020, https://arxiv.org/abs/2009.01325, appendix B.1."""
        width = width_of(model)
        draws = torch.randn(len(names), members, width, generator=torch.Generator().manual_seed(seed))
        zeros = torch.zeros(len(names), members)
        usual = {name: AnswerModel() for name in names}
        return cls(
            model, tuple(names), (draws / (width + 1) ** 0.5).to(model.device), zeros, torch.ones_like(zeros), usual
        )

    def read(self, hidden: Tensor) -> Tensor:
        """[reward, member, item] values of hidden states [item, hidden], in log-odds units; with gradients."""
        return torch.einsum("nd,hkd->hkn", hidden.float(), self.heads)

    def members(self, batch: Batch, head: str = OVERALL) -> Tensor:
        """[member, completion] scores, in log-odds units, without gradients."""
        number = self._number(head)
        with torch.no_grad():
            parts = [self.read(self.model.hidden(part, last=True))[number] for part in portions(batch)]
        return torch.cat(parts, dim=-1)

    def score(self, batch: Batch, head: str = OVERALL) -> Scores:
        """What members think of completions, in log-odds units."""
        found = self.members(batch, head).double().cpu().numpy()
        return Scores(found.mean(axis=0), found)

    def judge(self, texts: Sequence[TextSegment], head: str = OVERALL) -> Scores:
        """What members think of texts, in log-odds units."""
        tokeniser = Tokeniser(self.model.tokenizer)
        groups = [tokeniser.group(text.prompt, [text.completion]) for text in texts]
        batch, place = side_by_side(groups)
        found = self.members(batch, head).double().cpu().numpy()[:, place]
        return Scores(found.mean(axis=0), found)

    def normalised(self, batch: Batch, head: str = OVERALL) -> NDArray[np.float64]:
        """[member, completion] scores of mean 0 and deviation 1 on the texts that answers were about: what learners are paid."""
        number = self._number(head)
        found = (self.members(batch, head).cpu() - self.offset[number][:, None]) / self.scale[number][:, None]
        return found.double().numpy()

    def _number(self, head: str) -> int:
        if head not in self.names:
            raise LearningError("The reward has no such head", got=head, expected=f"one of {list(self.names)}")
        return self.names.index(head)

    def save(self, folder: Path) -> None:
        """Write the heads, what belongs to them, and the model or its adapter into a folder that exists."""
        self.model.save(folder)
        tensors = {"heads": self.heads.detach().cpu(), "offset": self.offset, "scale": self.scale}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / HEADS)
        facts = {
            "format": FORMAT,
            "names": list(self.names),
            "annotators": {name: to_json(one) for name, one in self.annotators.items()},
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path, model: LanguageModel) -> TextReward:
        """A reward that was saved, read by its model. Raises IntegrityError when the files are none."""
        try:
            facts = json.loads((folder / FACTS).read_text())
            tensors = load_file(folder / HEADS)
        except (OSError, ValueError) as error:
            raise IntegrityError(
                "This folder holds no reward of texts", got=str(error), expected=f"{FACTS} and {HEADS}"
            ) from error
        if facts.get("format") != FORMAT or tensors["heads"].shape[-1] != width_of(model):
            raise IntegrityError(
                "The reward does not fit",
                got=f"format {facts.get('format')}, heads {tuple(tensors['heads'].shape)}",
                expected=f"format {FORMAT}, heads for hidden states of {width_of(model)}",
            )
        annotators = {name: from_json(AnswerModel, one) for name, one in facts["annotators"].items()}
        # a file's tensors lie elsewhere in memory than fitted ones, which would move last bits
        heads = tensors["heads"].clone().to(model.device)
        return cls(model, tuple(facts["names"]), heads, tensors["offset"], tensors["scale"], annotators)


def side_by_side(groups: Sequence[Group]) -> tuple[Batch, NDArray[np.intp]]:
    """Single completions with equal prompts put together, so that these are read once, and [text] which row each became."""
    rows: dict[Ids, list[int]] = {}
    for number, group in enumerate(groups):
        rows.setdefault(group.prompt, []).append(number)
    order = [number for numbers in rows.values() for number in numbers]
    place = np.empty(len(groups), dtype=np.intp)
    place[order] = np.arange(len(groups))
    completions = [[groups[number].completions[0] for number in numbers] for numbers in rows.values()]
    return Batch.of(list(rows), completions), place


def export(reward: TextReward, folder: Path) -> None:
    """Write what `AutoModelForSequenceClassification` of Transformers loads: the mean over members of the overall reward.

    Adapters are merged into the weights. The configuration has one label, `plaudit_mean` and `plaudit_deviation` of scores,
    and a pad token that ends nothing: the classifier looks for the last token that is no pad.

    Raises:
        ConfigError: the model's family has no classifier in Transformers, or its tokenizer no token to pad with.
    """
    transformers = require("transformers", EXTRA)
    source, tokenizer = reward.model.causal, reward.model.tokenizer
    pad = getattr(tokenizer, "pad_token_id", None)
    ends = {source.config.eos_token_id, getattr(tokenizer, "eos_token_id", None)}
    if tokenizer is None or pad is None or pad in ends:
        raise ConfigError(
            "A classifier cannot tell where padded texts end",
            got=f"pad token {pad}, end tokens {sorted(one for one in ends if one is not None)}",
            expected="a pad token that ends nothing",
            next_step="set tokenizer.pad_token; `plaudit model import` does",
        )
    config = copy.deepcopy(source.config)
    number = reward.names.index(OVERALL)
    config.num_labels, config.pad_token_id = 1, pad
    config.plaudit_mean = float(reward.offset[number].mean())
    config.plaudit_deviation = float(reward.scale[number].mean())
    try:
        model = transformers.AutoModelForSequenceClassification.from_config(config)
    except ValueError as error:
        raise ConfigError(
            "Transformers has no classifier for this family",
            got=type(source).__name__,
            expected="one like Llama or Qwen",
        ) from error
    state = {
        name: tensor for name, tensor in reward.model.merged().items() if name.startswith(source.base_model_prefix)
    }
    missing = model.load_state_dict(state, strict=False).missing_keys
    if set(missing) != {"score.weight"}:
        raise ConfigError(
            "The classifier of this family is built otherwise", got=missing, expected="score.weight alone"
        )
    with torch.no_grad():
        model.score.weight.copy_(reward.heads[number].mean(0, keepdim=True))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def portions(batch: Batch) -> Iterator[Batch]:
    """A batch in stretches of completions that fit into memory."""
    return (batch.take(rows) for rows in batch.parts(TOKENS))


def width_of(model: LanguageModel) -> int:
    """Size of a hidden state."""
    return int(model.causal.config.hidden_size)
