"""Rewards of steps: what is paid in all stays the score, credit goes where it was earned, and nothing else changes."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import strategies as st

from plaudit.engine.batch import Batch
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, LearningError
from plaudit.language import group
from plaudit.language.critic import Critic, paid_by
from plaudit.language.group import Group
from plaudit.language.group_config import preset
from plaudit.language.ppo import PPO
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.process import along, by_sentence, earned_by, sentence_ends
from plaudit.language.scorer import TextReward
from plaudit.language.update import UpdateConfig
from plaudit.ops.advantages import Scale, from_steps
from plaudit.ops.scores import in_steps, token_rewards
from tests.language_examples import END, Letters, parameters, same
from tests.language_rollouts import policy, rollout, scores
from tests.ops_examples import SEEDS, examples, noise
from tests.test_language_sft import Killed

NAN = math.nan


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_steps_by_hand():
    lengths, earned = torch.tensor([4, 1, 2]), tensor(NAN, 0.5, NAN, 9.0, NAN, 0.1, NAN)
    found = in_steps(tensor(2.0, 3.0, NAN), earned, lengths)
    torch.testing.assert_close(found, tensor(NAN, 0.5, NAN, 1.5, 3.0, NAN, NAN), equal_nan=True)
    paid = token_rewards(tensor(2.0, 3.0, NAN), torch.ones(7).double(), lengths, beta=0.1, earned=earned)
    torch.testing.assert_close(paid, tensor(-0.1, 0.4, -0.1, 1.4, 2.9, -0.1, -0.1))


@examples(SEEDS, st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_what_is_paid_in_all_is_the_score(seed, sizes):
    lengths = torch.tensor(sizes)
    earned, given = noise(seed, sum(sizes)), noise(seed + 1, len(sizes))
    earned[noise(seed + 2, sum(sizes)) > 0] = NAN
    found = in_steps(given, earned, lengths)
    torch.testing.assert_close(torch.stack([one.nansum() for one in found.split(sizes)]), given)


@examples(SEEDS, st.sampled_from(Scale))
def test_advantages_of_steps_equal_plain_loops(seed, scale):
    sizes, member = [3, 2, 4, 1], [0, 0, 1, 1]
    rewards = noise(seed, sum(sizes))
    rewards[noise(seed + 1, sum(sizes)) > 0.3] = NAN
    rewards[torch.tensor(sizes).cumsum(0) - 1] = noise(seed + 2, 4)
    rows = [row.tolist() for row in rewards.split(sizes)]
    known = [
        [x for row, g in zip(rows, member, strict=True) if g == number for x in row if x == x] for number in (0, 1)
    ]
    everything, found = [x for some in known for x in some], []
    for row, g in zip(rows, member, strict=True):
        some = {Scale.GROUP: known[g], Scale.BATCH: everything}.get(scale)
        deviation = 1.0 if some is None else float(torch.tensor(some).std()) + 1e-4
        mean = sum(known[g]) / len(known[g])
        found += [sum((x - mean) / deviation for x in row[at:] if x == x) for at in range(len(row))]
    ours = from_steps(rewards, torch.tensor(sizes), torch.tensor(member), scale=scale)
    torch.testing.assert_close(ours, tensor(*found), rtol=1e-6, atol=1e-8)


def nothing(rolled):
    return torch.full((len(rolled.batch.row),), NAN)


def made(name, process):
    if name == "ppo":
        model = policy("policy", "critic")
        return PPO(model, Critic.fresh(model.view("critic")), PPOConfig(), 0, process=process)
    return Group(policy(), preset(name), 0, process=process)


@pytest.mark.parametrize("name", ["grpo", "dr-grpo", "reinforce++", "ppo"])
def test_a_process_that_pays_nothing_on_the_way_changes_nothing(name):
    plain, other = (made(name, process).experience(rollout(), scores(9)) for process in (None, nothing))
    torch.testing.assert_close(other.advantages, plain.advantages)
    assert torch.equal(other.rewards.nan_to_num(), plain.rewards.nan_to_num())


@pytest.mark.parametrize("name", ["grpo", "reinforce++", "ppo"])
def test_credit_comes_where_it_was_earned(name):
    """The same scores, earned by the first token of one completion: its later tokens are worth less than before."""
    row, place = rollout().batch.row, rollout().batch.place
    early = torch.where((row == 4) & (place == 0), 5.0, NAN)
    plain, paid = (made(name, process).experience(rollout(), scores(9)) for process in (nothing, lambda rolled: early))
    first, later = ((row == 4) & (place == 0)), ((row == 4) & (place > 0))
    gap, before = (float(x.advantages[first].mean() - x.advantages[later].mean()) for x in (paid, plain))
    assert gap > before + 0.5


class Lines(Letters):
    """A q is the end of a line."""

    def decode(self, ids, skip_special_tokens, clean_up_tokenization_spaces):
        return super().decode(ids, skip_special_tokens, clean_up_tokenization_spaces).replace("q", "\n")


def words(text):
    return Letters()(text)["input_ids"]


def test_ends_of_sentences():
    tokeniser = Tokeniser(Lines())
    assert sentence_ends(tokeniser, [*words("one.qtwo?qthree"), END]) == [3, 8, 15]
    assert sentence_ends(tokeniser, [*words("one."), END]) == [4]
    assert sentence_ends(tokeniser, words("cut of")) == [5]
    assert sentence_ends(tokeniser, [END]) == [0]


def reward():
    made = TextReward.fresh(policy(dtype=torch.float32), ("overall",), 2, 0)
    made.model.tokenizer = Lines()
    made.offset, made.scale = torch.tensor([[0.1, -0.2]]), torch.tensor([[0.5, 2.0]])
    return made


SAID = ("one.qtwo?qthree", "hm.", "a.qbqc.qd")


def spoken():
    batch = Batch.of([words("say?"), words("go")], [[[*words(SAID[0]), END], [*words(SAID[1]), END]], [words(SAID[2])]])
    found = rollout()
    return type(found)(batch, torch.zeros(len(batch.row)), torch.ones(3, dtype=torch.bool))


def test_the_reward_along_a_text_is_that_of_its_beginnings():
    judge, batch = reward(), spoken().batch
    found = along(judge, batch)
    for row, (ids, place) in enumerate(zip(batch.rows, batch.slices, strict=True)):
        prompt = batch.prompts[int(batch.group[row])].tolist()
        begun = Batch.of([prompt], [[ids[: count + 1].tolist() for count in range(len(ids))]])
        expected = torch.from_numpy(judge.normalised(begun).mean(0))
        torch.testing.assert_close(found[place], expected, rtol=1e-4, atol=1e-4)


def test_sentences_are_paid_what_they_add():
    judge, rolled = reward(), spoken()
    values, earned = along(judge, rolled.batch), earned_by(by_sentence(judge), rolled)
    assert earned[:16].isfinite().nonzero().flatten().tolist() == [3, 8, 15]
    torch.testing.assert_close(earned[[3, 8]], torch.stack([values[3], values[8] - values[3]]))
    sums = torch.stack([part.nansum() for part in earned.split(rolled.batch.lengths.tolist())])
    torch.testing.assert_close(sums, paid_by(judge)(rolled), rtol=1e-4, atol=1e-4)


FIVE = 5


def fives(rolled):
    """A completion is worth its fives."""
    batch = rolled.batch
    return torch.zeros(len(batch)).index_add(0, batch.row, (batch.tokens == FIVE).float())


def each_five(rolled):
    return (rolled.batch.tokens == FIVE).float()


def learn(process, *, steps=10, folder=None, each=lambda told: None, seed=0):
    config = replace(
        preset("grpo"), steps=steps, prompts=4, samples=8, max_tokens=12, kl=0.0, checkpoint_every=2,
        update=UpdateConfig(learning_rate=1e-2),
    )  # fmt: skip
    stage = Group(policy(dtype=torch.float32, fresh=True), config, seed, process=process)
    group.train(stage, [[4, 9, 1], [2, 3], [7, 7, 1], [5]], fives, folder=folder, each=each)
    return stage


def test_steps_teach_faster_than_an_outcome():
    """Twelve tokens, each right or wrong by itself: with credit for each there is less noise to learn through."""
    last = []
    for process in (None, each_five):
        told = []
        learn(process, each=told.append)
        last.append(sum(one.metrics["reward"] for one in told[-3:]) / 3)
    assert last[1] > last[0]


def test_killed_and_resumed_gives_equal_bits(tmp_path):
    def stop(told):
        if told.number == 3:
            raise Killed

    straight = learn(each_five, steps=4)
    with pytest.raises(Killed):
        learn(each_five, steps=4, folder=tmp_path, each=stop)
    resumed = learn(each_five, steps=4, folder=tmp_path)
    assert same(parameters(resumed.model), parameters(straight.model))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="compared with"):
        made("rloo", nothing)
    with pytest.raises(LearningError, match="steps do not fit"):
        made("grpo", lambda rolled: torch.zeros(3)).experience(rollout(), scores(9))
