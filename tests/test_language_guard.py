"""The guard of language models: who judges, what is rolled back, and equal bits through kills."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, RunError
from plaudit.language import guarded
from plaudit.language.critic import Critic, paid_by
from plaudit.language.group import Group, train
from plaudit.language.guard import Pairs, TextGuard, judged_by
from plaudit.language.guarded import PeopleJudge, TextGuardConfig, gold_function, guarding
from plaudit.language.ppo import PPO
from plaudit.language.ppo import train as train_ppo
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.texts import Asked
from plaudit.ops.aggregate import AggregateConfig, Pessimism
from plaudit.records import Choice, Comparison
from plaudit.run.guard import KL, PROXY, Ending
from plaudit.run.guard_config import GuardConfig
from plaudit.store.store import Store
from plaudit.worlds.prompts import Prompt
from tests.language_examples import Letters, parameters, same
from tests.language_rollouts import policy, rollout
from tests.store_examples import RUN
from tests.test_language_group import QUICK, follows, quick

ASKED = [[4, 9, letter] for letter in (9, 12)]
CONFIG = GuardConfig(every=1, pairs=12, batch=6, budget=400)
SMALL = {"prompts": 4, "samples": 4, "epochs": 2, "steps": 12}


def against(one):
    """What the reward likes is bad."""
    return -follows(one)


def guarded_run(gold, *, folder=None, each=lambda told: None, config=CONFIG, **changes):
    model = policy(dtype=torch.float32, fresh=True, rank=8)
    group = Group(model, quick("grpo", **SMALL | changes), 0)
    guard = TextGuard(group, ASKED, config=config, score=follows, judge=judged_by(gold, right=0.9))
    train(group, ASKED, follows, folder=folder, each=each, guard=guard)
    return group, guard.guard


def test_a_policy_that_gets_worse_is_put_back_to_its_best():
    start = parameters(policy(dtype=torch.float32, fresh=True, rank=8))
    told = []
    group, guard = guarded_run(against, each=told.append)
    assert guard.ending is Ending.ALARM
    assert guard.best == 0
    assert same(parameters(group.model), start)
    assert guard.proxy_up
    assert guard.checks[-1].measures[KL] > guard.start[KL] == pytest.approx(0, abs=1e-5)
    assert told[-1].metrics["guard/ended"] == 1.0
    assert len(told) == group.rollouts < 12


def test_a_policy_that_gets_better_is_let_alone_and_learns_the_same_as_without():
    told, plain = [], []
    group, guard = guarded_run(follows, each=told.append)
    assert guard.ending is None
    assert guard.best > 0
    alone = Group(policy(dtype=torch.float32, fresh=True, rank=8), quick("grpo", **SMALL), 0)
    train(alone, ASKED, follows, each=plain.append)
    assert same(parameters(group.model), parameters(alone.model))
    for one, other in zip(told, plain, strict=True):
        assert {name: value for name, value in one.metrics.items() if not name.startswith("guard/")} == other.metrics


def test_killed_and_resumed_gives_equal_bits(tmp_path):
    for gold, dies in ((follows, 7), (against, 3)):
        whole, seen = guarded_run(gold)

        def die(told, dies=dies):
            if told.number == dies:
                raise KeyboardInterrupt

        folder = tmp_path / gold.__name__
        with pytest.raises(KeyboardInterrupt):
            guarded_run(gold, folder=folder, each=die, checkpoint_every=2)
        for _ in range(2):  # the second time there is nothing left to do
            again, guard = guarded_run(gold, folder=folder, checkpoint_every=2)
            assert guard.state() == seen.state()
            assert same(parameters(again.model), parameters(whole.model))


def test_a_checkpoint_without_a_guard_is_refused(tmp_path):
    model = policy(dtype=torch.float32, fresh=True, rank=8)
    train(Group(model, quick("grpo", **SMALL | {"steps": 1}), 0), ASKED, follows, folder=tmp_path)
    with pytest.raises(RunError, match="no guard"):
        guarded_run(follows, folder=tmp_path, steps=1)


def test_the_same_policy_writes_the_same_so_nobody_is_asked():
    group = Group(policy(dtype=torch.float32), quick("grpo", **SMALL), 0)
    asked = []
    guard = TextGuard(group, ASKED, config=CONFIG, score=follows, judge=lambda pairs: asked.append(pairs) or [])
    metrics = guard.after({"reward": 1.0})
    assert asked == []
    assert metrics["reward"] == 1.0
    assert guard.guard.checks[0].won == ()
    assert guard.guard.start.keys() == {PROXY, KL}


def test_ppo_is_guarded_too():
    model = policy("policy", "critic", dtype=torch.float32, fresh=True, rank=8)
    config = PPOConfig(steps=8, prompts=8, samples=2, max_tokens=4, update=QUICK, critic_update=QUICK)
    ppo = PPO(model, Critic.fresh(model.view("critic")), config, 0)
    guard = TextGuard(
        ppo, ASKED, config=CONFIG, score=follows, judge=lambda pairs: [False] * len(pairs.numbers)
    )  # fmt: skip
    start = parameters(model)
    train_ppo(ppo, ASKED, follows, guard=guard)
    assert guard.ended
    assert same(parameters(model), start)


def pairs(numbers=(0, 1, 2)):
    one, other = rollout(((2, (3,)), (2, (3,)), (2, (3,))), seed=1), rollout(((2, (3,)), (2, (3,)), (2, (3,))), seed=2)
    return Pairs(1, numbers, tuple(range(len(numbers))), one, other)


def test_judges_are_wrong_as_often_as_they_should():
    scores = iter([torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0.0, 1.0, 0.5])])
    assert judged_by(lambda one: next(scores))(pairs()) == [True, False, None]
    right = []
    for check in range(300):
        scores = iter([torch.ones(3), torch.zeros(3)])
        right += judged_by(lambda one, scores=scores: next(scores), right=0.75)(replace(pairs(), check=check))
    assert 0.70 <= sum(right) / len(right) <= 0.80


def test_people_answer_through_the_store_and_their_answers_are_read_once(tmp_path, monkeypatch):
    prompts = ["is it", "say so", "and now"]
    with Store.create(tmp_path / "store.sqlite", RUN) as store:

        def people(seconds):
            for number, query in enumerate(store.queries()):
                if not store.was_given(query.id, "ann"):
                    choice = [Choice.FIRST, Choice.SECOND, Choice.TIE][number % 3]
                    store.add_feedback([Comparison(id=f"f{number}", query=query.id, annotator="ann", choice=choice)])

        monkeypatch.setattr(guarded, "time", SimpleNamespace(sleep=people, monotonic=lambda: 0.0))
        judge = PeopleJudge(store, prompts, Tokeniser(Letters()), "training", 0, 60.0)
        assert judge(pairs()) == [True, False, None]
        (query, *_), head = list(store.queries()), store.head()[0]
        assert query.strategy == "guard/training"
        late = Comparison(id="late", query=query.id, annotator="bob", choice=Choice.SECOND)
        store.add_feedback([late])
        assert judge(pairs()) == [True, False, None]  # an answer that came too late does not change what was decided
        assert store.head()[0] == head + 1
        monkeypatch.setattr(guarded, "time", SimpleNamespace(monotonic=iter([0.0, 100.0]).__next__))
        assert judge(replace(pairs(), check=2)) == [None] * 3  # nobody came


def test_settings_that_nobody_could_judge_by_are_refused():
    for wrong in ({}, {"gold": "a:b", "panel": "c"}, {"gold": "a:b", "right": 0.4}):
        with pytest.raises(ConfigError, match="somebody who judges"):
            TextGuardConfig(**wrong)
    with pytest.raises(ConfigError, match="no such function"):
        gold_function("tests.nowhere:gold")
    with pytest.raises(ConfigError, match="no function"):
        gold_function("tests.test_language_guard:ASKED")


def shortest(prompt, completion):
    """A gold function of texts."""
    return -len(completion)


def test_a_gold_function_is_given_texts():
    group = Group(policy(dtype=torch.float32), quick("grpo", **SMALL), 0)
    prompts = tuple(Prompt(text, text) for text in ("ejj", "ejm"))
    asked = Asked(prompts, ((4, 9, 9), (4, 9, 12)), Tokeniser(Letters()))
    with guarding(None, group, asked, follows) as none:
        assert none is None
    config = TextGuardConfig(gold="tests.test_language_guard:shortest", every=1)
    with guarding(config, group, asked, follows) as guard:
        with torch.no_grad():
            for one in group.model.parameters():
                one.mul_(3.0)
        guard.after({})
    check = guard.guard.checks[0]
    assert 0 < len(check.won) <= 20


def test_members_are_put_together_as_the_settings_say():
    members = torch.tensor([[0.0, 1.0], [2.0, 1.0]], dtype=torch.float64).numpy()
    reward = SimpleNamespace(normalised=lambda batch: members)
    one = SimpleNamespace(batch=None)
    assert paid_by(reward)(one).tolist() == [1.0, 1.0]
    assert paid_by(reward, AggregateConfig(Pessimism.UNCERTAINTY_WEIGHTED))(one).tolist() == [-1.0, 1.0]


def test_a_training_with_a_guard_writes_what_it_saw(tmp_path):
    from plaudit.language import training

    path = tmp_path / "guard.json"
    _, guard = guarded_run(against)
    training._conclude(training.Training(out=str(tmp_path)), SimpleNamespace(guard=guard))
    said = json.loads(path.read_text())
    assert said["ending"] == "alarm"
    assert "is judged worse" in said["diagnosis"]
    assert said["best"] == 0
