"""The card's adapters: plaudit's rewards of texts and behaviour, classifiers, and what a policy takes for reward."""

import json

import numpy as np
import pytest
import torch
import transformers

from plaudit.check.card.adapters import BehaviourSignal, PolicySignal, TextSignal, of_directory, of_run
from plaudit.check.card.card import CardConfig, reward_card
from plaudit.check.card.material import Gathering
from plaudit.check.card.sources import of_path
from plaudit.cli.main import main
from plaudit.engine.model import LanguageModel
from plaudit.errors import ConfigError, RecordError
from plaudit.language.scorer import TextReward, export
from plaudit.loop.run import Run
from plaudit.records import Segment, TextSegment
from plaudit.reward.dispatch import OVERALL
from plaudit.store.store import Store
from tests.language_words import language_model
from tests.loop_examples import small

TEXTS = [
    TextSegment("what is it ?", said) for said in ("the sea is big .", "no", "blue blue sea ends .", "one two red")
]


def reward(seed=0, folder=None, adapted=True):
    model = language_model(seed, folder=folder)
    if not adapted:
        model = LanguageModel(model.causal, model.tokenizer, adapter=None)
    return TextReward.fresh(model, [OVERALL], 3, seed)


def test_a_text_reward_scores_as_it_judges_and_explains_itself_by_token():
    found = TextSignal("r", reward())
    np.testing.assert_array_equal(found.score(TEXTS), found.reward.judge(TEXTS).members)
    why = found.explain(TEXTS[0])
    assert [piece.strip() for piece in why.pieces] == ["the", "sea", "is", "big", "."]
    assert abs(why.gap) < 1e-5
    assert why.total == pytest.approx(found.score(TEXTS[:1]).mean(), abs=1e-5)


def test_states_are_what_the_heads_read():
    signal = TextSignal("r", reward())
    states = torch.from_numpy(signal.states(TEXTS)).float()
    np.testing.assert_allclose(signal.reward.read(states)[0].numpy(), signal.score(TEXTS), atol=1e-5)


def test_token_values_are_differences_of_scores_of_prefixes():
    """The slow twin: each prefix by itself, a text that ends there."""
    signal = TextSignal("r", reward(1))
    why = signal.explain(TEXTS[2])
    words = str(TEXTS[2].completion).split()
    begun = [TextSegment(TEXTS[2].prompt, " ".join(words[:k])) for k in range(1, len(words) + 1)]
    slow = [signal.score([one]).mean() for one in begun]
    np.testing.assert_allclose(np.cumsum(why.values), np.array(slow) - why.start, atol=1e-4)
    assert [piece.strip() for piece in why.pieces] == words


def test_a_folder_of_a_reward_and_its_classifier_say_the_same(tmp_path):
    for name in ("base", "reward", "classifier"):
        (tmp_path / name).mkdir()
    made = reward(2, tmp_path / "base")
    made.save(tmp_path / "reward")
    export(made, tmp_path / "classifier")
    ours, theirs = of_directory(tmp_path / "reward"), of_directory(tmp_path / "classifier")
    np.testing.assert_allclose(ours.score(TEXTS).mean(0), theirs.score(TEXTS)[0], atol=1e-4)
    assert theirs.name == "classifier"
    rows = [
        {"prompt": "what is it ?", "chosen": f"the sea {said}", "rejected": f"no {said}"} for said in ("one", "two")
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--data", str(tmp_path / "pairs.jsonl"), "--out", str(tmp_path / "card.html")]
    assert main(["reward", "card", str(tmp_path / "reward"), *words, "--gold", str(tmp_path / "classifier")]) in (0, 1)
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["members"], card["signal"]) == (3, "reward")
    assert card["distance"]["distance"] == pytest.approx(0, abs=1e-3)


def test_what_an_aligned_policy_takes_for_reward(tmp_path):
    """beta (log policy - log reference), against Transformers' own log-probabilities."""
    (tmp_path / "base").mkdir()
    policy = language_model(3, folder=tmp_path / "base")
    for one in policy.parameters():
        one.data += 0.05 * torch.randn(one.shape, generator=torch.Generator().manual_seed(0))
    (tmp_path / "adapter").mkdir()
    policy.save(tmp_path / "adapter")
    signal = of_directory(tmp_path / "adapter", beta=0.5)
    assert isinstance(signal, PolicySignal)
    found = signal.score(TEXTS)[0]
    assert np.abs(found).max() > 0.01
    for text, value in zip(TEXTS, found, strict=True):
        whole = policy.tokenizer(text.prompt + text.completion, add_special_tokens=False)["input_ids"]
        ids, start = [*whole, 1], len(policy.tokenizer(text.prompt, add_special_tokens=False)["input_ids"])
        h = _log_probability(policy.module, ids, start)
        with policy.module.disable_adapter():
            h -= _log_probability(policy.module, ids, start)
        assert value == pytest.approx(0.5 * h, abs=1e-4)
    same = of_directory(tmp_path / "base", reference=str(tmp_path / "base"))
    np.testing.assert_allclose(same.score(TEXTS), 0)
    with pytest.raises(ConfigError, match="only beside its reference"):
        of_directory(tmp_path / "base")


def _log_probability(module, ids, start):
    with torch.no_grad():
        logits = module(torch.tensor([ids])).logits[0].log_softmax(-1)
    return float(sum(logits[k - 1, ids[k]] for k in range(start, len(ids))))


def test_a_classifier_of_many_labels_is_no_reward(tmp_path):
    config = transformers.LlamaConfig(
        vocab_size=23, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, num_labels=5
    )
    transformers.LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    language_model().tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="no reward"):
        of_directory(tmp_path)


def test_a_card_of_a_text_reward_has_explained_mistakes():
    gathered = Gathering()
    for k in range(30):
        prompt = f"say {'so ' * (k % 5)}{['red', 'blue', 'sea', 'one', 'two', 'big'][k % 6]} ?"
        gathered.pair(TextSegment(prompt, "good sea ."), TextSegment(prompt, "bad no ."), {})
    card = reward_card(TextSignal("r", reward()), gathered.done(), config=CardConfig())
    other = reward_card(TextSignal("r", reward(4)), gathered.done(), config=CardConfig())
    assert card.members == 3
    wrong = [one for one in (card, other) if one.accuracy.value < 1]
    assert all(one.examples and one.examples[0].of_better.pieces[0] == "good" for one in wrong)
    assert wrong
    assert all(len(one.examples[0].near) == 3 for one in wrong)
    assert not any(one.name == "attribution" for each in (card, other) for one in each.findings)


def test_the_reward_of_a_run_on_its_behaviour(tmp_path):
    with Run.create(small(), tmp_path / "run") as run:
        run.finish()
    material = of_path(tmp_path / "run")
    assert all(isinstance(one, Segment) for one in material.items)
    with of_run(tmp_path / "run") as signal:
        card = reward_card(signal, material, config=CardConfig(), data="run")
        why = signal.explain(material.items[0])
        states = signal.states(material.items)
        with pytest.raises(RecordError, match="cannot score texts"):
            signal.score(TEXTS)
    assert isinstance(signal, BehaviourSignal)
    words = ["--data", str(tmp_path / "run"), "--out", str(tmp_path / "card.html")]
    assert main(["reward", "card", str(tmp_path / "run"), *words]) in (0, 1)
    assert json.loads((tmp_path / "card.json").read_text())["accuracy"]["value"] == card.accuracy.value
    assert abs(why.gap) < 1e-4
    assert len(why.values) == material.items[0].length
    assert card.members > 1
    assert card.edits == card.prefixes == ()
    assert states.shape[0] == len(material.items)
    assert all(one.near[0].likeness <= 1 and "steps" in one.better for one in card.examples)
    with (
        Store.create(tmp_path / "empty" / "store.sqlite", {"format": 1}),
        pytest.raises(ConfigError),
        of_run(tmp_path / "empty"),
    ):
        pass
