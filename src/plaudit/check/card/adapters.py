"""Rewards that need torch as the card sees them: plaudit's of texts and of behaviour, sequence classifiers, policies."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from plaudit.check.card.explain import PIECES, Attribution
from plaudit.check.card.signal import Item
from plaudit.engine.batch import Batch
from plaudit.engine.load import EXTRA
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Group, Tokeniser
from plaudit.errors import ConfigError, RecordError
from plaudit.language.scorer import FACTS, TextReward, portions, side_by_side
from plaudit.ops.direct import implicit
from plaudit.ops.tokens import segment_sum
from plaudit.records import Segment, StepBatch, TextSegment
from plaudit.reward.collate import pack
from plaudit.reward.dispatch import OVERALL
from plaudit.reward.model import RewardModel
from plaudit.run import checkpoint
from plaudit.run.directory import RunDirectory
from plaudit.run.optional import require
from plaudit.store.store import Store

Floats = NDArray[np.float64]
ROWS = 16
"""texts that a classifier reads at once"""


@dataclass(frozen=True, slots=True, eq=False)
class TextSignal:
    """plaudit's reward of texts; explains itself by token."""

    name: str
    reward: TextReward
    head: str = OVERALL

    def score(self, items: Sequence[Item]) -> Floats:
        """[member, item] in log-odds."""
        return self.reward.judge(texts_of(items), self.head).members

    def states(self, items: Sequence[Item]) -> Floats:
        """[item, hidden] the state at the last token, which the heads read."""
        model = self.reward.model
        batch, place = side_by_side(list(groups_of(Tokeniser(model.tokenizer), items)))
        with torch.no_grad():
            found = [model.hidden(part, last=True).double().cpu() for part in portions(batch)]
        return torch.cat(found).numpy()[place]

    def explain(self, item: Item) -> Attribution:
        """What each token added, or each stretch of a long text.

        Every prefix is ended as a text ends: a reward is fitted at ends only, and what it would read in mid-sentence says little of it.
        """
        words = Tokeniser(self.reward.model.tokenizer)
        (group,) = groups_of(words, [item])
        *said, end = group.completions[0]
        size = max(1, -(-len(said) // PIECES))
        cuts = [*range(0, len(said), size), len(said)]
        ended = Batch.of([group.prompt], [[[*said[:cut], end] for cut in cuts]])
        scores = self.reward.score(ended, self.head).mean
        whole = float(self.reward.judge(texts_of([item]), self.head).mean[0])
        pieces = tuple(words.tokenizer.decode(said[start:stop]) for start, stop in pairwise(cuts))
        return Attribution(pieces, tuple(np.diff(scores).tolist()), float(scores[0]), whole)


@dataclass(frozen=True, slots=True, eq=False)
class BehaviourSignal:
    """plaudit's reward of behaviour, on segments of a store."""

    name: str
    model: RewardModel
    store: Store
    head: str = OVERALL

    def score(self, items: Sequence[Item]) -> Floats:
        """[member, item] in log-odds. Raises RecordError for texts."""
        return self.model.score(self._seen(items), self.head).members

    def states(self, items: Sequence[Item]) -> Floats:
        """[item, feature] observations and actions, by their means over steps, on the scale on which they vary."""
        seen = self._seen(items)
        steps = np.concatenate([seen.observations, seen.actions], axis=-1).astype(np.float64)
        means = (steps * seen.mask[:, :, None]).sum(axis=1) / seen.mask.sum(axis=1)[:, None]
        return means / np.maximum(means.std(axis=0), 1e-12)

    def explain(self, item: Item) -> Attribution:
        """What each step added; the mean over members, in log-odds."""
        seen = self._seen([item])
        steps = self.model.per_step(seen, self.head)[:, 0]
        chosen = self.model if self.head == OVERALL else self.model.heads[self.head]
        values = (chosen.scale[:, None] * steps + chosen.offset[:, None]).mean(axis=0)
        whole = float(self.model.score(seen, self.head).mean[0])
        return Attribution(tuple(f"{k} " for k in range(len(values))), tuple(values.tolist()), 0.0, whole)

    def _seen(self, items: Sequence[Item]) -> StepBatch:
        segments = [one for one in items if isinstance(one, Segment)]
        if len(segments) < len(items):
            raise RecordError("A reward of behaviour cannot score texts", got=f"{len(items) - len(segments)} texts")
        data = [self.store.segment_data(one) for one in segments]
        return pack(data, self.model.inputs.actions, pixels=data[0].pixels is not None)


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierSignal:
    """A sequence classifier of Transformers with one label, or the last of two."""

    name: str
    module: Any
    words: Tokeniser

    def score(self, items: Sequence[Item]) -> Floats:
        """[1, item] logits."""
        rows = [_ids(group) for group in groups_of(self.words, items)]
        order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
        found = np.zeros(len(rows))
        pad = self.module.config.pad_token_id
        with torch.no_grad():
            for start in range(0, len(order), ROWS if pad is not None else 1):
                some = order[start : start + (ROWS if pad is not None else 1)]
                ids = torch.nn.utils.rnn.pad_sequence(
                    [torch.tensor(rows[k]) for k in some], batch_first=True, padding_value=pad or 0
                )
                lengths = torch.tensor([len(rows[k]) for k in some])
                mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
                device = self.module.device
                logits = self.module(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
                found[some] = logits[:, -1].double().cpu().numpy()
        return found[None]


@dataclass(frozen=True, slots=True, eq=False)
class PolicySignal:
    """What a policy that was aligned directly takes for reward: beta (log policy - log reference), summed over the completion.

    Rafailov et al. 2023, https://arxiv.org/abs/2305.18290, section 4, up to a constant of the prompt.
    """

    name: str
    policy: LanguageModel
    reference: LanguageModel
    beta: float = 0.1

    def score(self, items: Sequence[Item]) -> Floats:
        """[1, item]; differences between answers to one prompt are in log-odds."""
        batch, place = side_by_side(list(groups_of(Tokeniser(self.policy.tokenizer), items)))
        found: list[torch.Tensor] = []
        with torch.no_grad():
            for part in portions(batch):
                ours, theirs = (model.logprobs(part).logprobs.double().cpu() for model in (self.policy, self.reference))
                found.append(implicit(ours, segment_sum(theirs, part.row, len(part)), part.row))
        return self.beta * torch.cat(found).numpy()[place][None]


def texts_of(items: Sequence[Item]) -> list[TextSegment]:
    """Items that are texts. Raises RecordError for behaviour."""
    texts = [one for one in items if isinstance(one, TextSegment)]
    if len(texts) < len(items):
        raise RecordError("A reward of texts cannot score behaviour", got=f"{len(items) - len(texts)} segments")
    return texts


def groups_of(words: Tokeniser, items: Sequence[Item]) -> Iterator[Group]:
    """Texts as tokens."""
    return (words.group(text.prompt, [text.completion]) for text in texts_of(items))


def of_directory(
    folder: Path, *, reference: str = "", beta: float = 0.1
) -> TextSignal | ClassifierSignal | PolicySignal:
    """The reward in a folder: of `plaudit train reward`, a sequence classifier, or an aligned policy beside its reference.

    Args:
        folder: where it lies.
        reference: directory of a policy's reference; an adapter is held against its own base without one.
        beta: of the alignment, for policies.

    Raises ConfigError where the folder holds no reward.
    """
    if (folder / FACTS).is_file():
        return TextSignal(folder.name, TextReward.load(folder, LanguageModel.load(folder)))
    if _is_classifier(folder):
        return _classifier(folder)
    policy = LanguageModel.load(folder)
    if reference:
        return PolicySignal(folder.name, policy, LanguageModel.load(reference), beta)
    if policy.adapter is None:
        raise ConfigError(
            "A whole policy is a reward only beside its reference", got=str(folder),
            next_step="give --reference DIRECTORY, the model that it was aligned from",
        )  # fmt: skip
    return PolicySignal(folder.name, policy, policy.view(None), beta)


@contextmanager
def of_run(folder: Path) -> Generator[BehaviourSignal]:
    """The newest reward of behaviour of a run, with its store. Raises ConfigError where nothing was learned."""
    directory = RunDirectory(folder)
    with Store.open(directory.store) as store:
        fits = [
            event.payload["checkpoint"]
            for event in store.events(kinds={"stage.completed"})
            if event.payload["stage"] == "learn" and event.payload["checkpoint"]
        ]
        place = checkpoint.locate(directory.checkpoints, fits[-1]) / "reward.safetensors" if fits else None
        if place is None or not place.is_file():
            raise ConfigError(
                "This run has no reward of behaviour", got=str(folder),
                expected="a run of an agent that has learned a reward; of a language model, the folder of its reward",
            )  # fmt: skip
        yield BehaviourSignal(folder.name, RewardModel.load(place), store)


def _is_classifier(folder: Path) -> bool:
    path = folder / "config.json"
    named = json.loads(path.read_text("utf-8")).get("architectures") or [] if path.is_file() else []
    return any("SequenceClassification" in name for name in named)


def _classifier(folder: Path) -> ClassifierSignal:
    transformers = require("transformers", EXTRA)
    try:
        module = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError("The classifier cannot be loaded", got=f"{folder}: {error}") from error
    if module.config.num_labels > 2:
        raise ConfigError(
            "A classifier of many labels is no reward", got=f"{module.config.num_labels} labels", expected="1 or 2"
        )
    return ClassifierSignal(folder.name, module, Tokeniser(tokenizer))


def _ids(group: Group) -> list[int]:
    return [*group.prompt, *group.completions[0]]
