"""The reward card: scores of benchmarks by hand, what is read, what is found, and what the page says."""

import json
import re
from html import unescape

import numpy as np
import pytest
from benchmarks.reward_card import BIASES, card_of, clean, draw, flagged, trigger_first

from plaudit.check.card.accuracy import calibrated, right
from plaudit.check.card.card import CardConfig, reward_card
from plaudit.check.card.edits import EDITS, Contract, Edit, effects
from plaudit.check.card.explain import by_prefix, explain, nearest, words_of
from plaudit.check.card.material import Gathering, Panel, Square
from plaudit.check.card.panels import best_of, reward_bench, rm_bench, ties
from plaudit.check.card.signal import TRIVIAL, FunctionSignal, of_function, said
from plaudit.check.card.sources import joined, of_files, of_path, of_store
from plaudit.check.card.traits import language
from plaudit.check.diagnose import Severity
from plaudit.cli.main import main
from plaudit.errors import ConfigError, LearningError
from plaudit.exchange.bring import bring, open_store
from plaudit.exchange.formats import Format
from plaudit.records import Message, TextSegment, to_json
from plaudit.report.reward_card import render_card
from plaudit.run.seeds import generator


def words(texts):
    """A reward: how many words."""
    return np.array([len(said(text.completion).split()) for text in texts], float)


def pairs_of(*completions):
    """Material of (better, worse) to prompts of their own."""
    gathered = Gathering()
    for number, (better, worse) in enumerate(completions):
        gathered.pair(TextSegment(f"p{number}", better), TextSegment(f"p{number}", worse), {})
    return gathered.done()


def test_best_of_four_by_hand():
    """First highest; shared with one other; beaten; all alike (chance)."""
    panels = [Panel(tuple(range(4 * k, 4 * k + 4)), 1, "Focus", "") for k in range(4)]
    scores = np.array([3.0, 1, 2, 0, 2, 2, 1, 0, 1, 2, 0, 0, 1, 1, 1, 1])
    assert best_of(panels, scores) == pytest.approx((1 + 1 / 2 + 0 + 1 / 4) / 4, abs=1e-9)


def test_ties_of_reward_bench_by_hand():
    """Two prompts. tied:0 right answers 4, 5 over 1: gap 3 above spread 1; ref:0 gap 2. tied:1 2, 4 over 3: wrong; ref:1 gap 0.5."""
    panels = [
        Panel((0, 1, 2), 2, "Ties", "tied:0"),
        Panel((3, 4), 1, "Ties", "ref:0"),
        Panel((5, 6, 7), 2, "Ties", "tied:1"),
        Panel((8, 9), 1, "Ties", "ref:1"),
    ]
    scores = np.array([4.0, 5, 1, 3, 1, 2, 4, 3, 1, 0.5])
    margin = (np.tanh(2 / 1 - 1) + np.tanh(-1 / 2 - 1)) / 2
    expected = 0.3 * 0.5 + 0.3 * 1 + 0.2 * 0.5 + 0.2 * 0.5 + 0.01 * margin
    assert ties(panels, scores) == pytest.approx(expected, abs=1e-9)
    assert reward_bench(panels, scores).overall == pytest.approx(expected, abs=1e-9)
    # equal right answers have no spread: their margin is certain, or 0 where nothing is ahead of anything
    assert ties(panels[:2], np.array([4.0, 4, 1, 3, 1])) == pytest.approx(1.01)
    assert ties(panels[:2], np.ones(5)) == pytest.approx(0)


def test_rm_bench_by_hand():
    """Scores that grow with style alone: richer style always wins, equal style never."""
    squares = [Square((0, 1, 2), (3, 4, 5), "safety-refuse"), Square((0, 1, 2), (3, 4, 5), "safety-response")]
    found = rm_bench(squares, np.array([0.0, 1, 2, 0, 1, 2]))
    assert [one.name for one in found.domains] == ["safety"]
    assert (found.easy, found.normal, found.hard) == (1, 0, 0)
    assert found.domains[0].matrix == ((0, 0, 0), (1, 0, 0), (1, 1, 0))
    assert found.overall == pytest.approx(1 / 3)
    mixed = rm_bench([Square((0, 1, 2), (3, 4, 5), "chat")], np.array([1.0, 0, 0, 0, 0.5, 2]))
    # rows: 1 beats 0 and 0.5; 0 beats nothing (0 > 0 is false)
    assert (mixed.easy, mixed.normal, mixed.hard) == (0, pytest.approx(1 / 3), pytest.approx(1 / 3))


def written(folder, name, rows):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_files_of_every_kind_are_read(tmp_path):
    four = {
        "id": "7",
        "prompt": "Q",
        "chosen": ["yes"],
        "rejected": ["no", "na", "nay"],
        "num_correct": 1,
        "subset": "Focus",
    }
    tied = {
        "id": "tied:0",
        "prompt": "T",
        "chosen": ["a", "b", "c"],
        "rejected": ["x", "y", "z"],
        "num_correct": 3,
        "subset": "Ties",
    }
    three = {"prompt": "R", "chosen": ["1", "2", "3"], "rejected": ["4", "5", "6"]}
    chat = {"prompt": [{"role": "user", "content": "hi"}], "chosen": [{"role": "assistant", "content": "hello"}],
        "rejected": [{"role": "assistant", "content": "no"}]}  # fmt: skip
    found = of_files(
        [written(tmp_path, "two.jsonl", [four, tied, {"odd": 1}]), written(tmp_path, "safety-refuse_x.jsonl", [three])]
    )
    assert (len(found.panels), len(found.squares), len(found.pairs), found.left_out) == (2, 1, 3 + 9, 1)
    assert found.squares[0].domain == "safety"
    assert {one.tags["source"] for one in found.pairs} == {"two.jsonl", "safety-refuse_x.jsonl"}
    plain = of_path(written(tmp_path, "plain.jsonl", [chat, {"prompt": "a", "chosen": "b", "rejected": "c"}]))
    assert [said(plain.items[one.better].completion) for one in plain.pairs] == ["hello", "b"]
    both = joined([found, plain])
    assert len(both.items) == len(found.items) + len(plain.items)
    assert said(both.items[both.pairs[-1].better].completion) == "b"
    with pytest.raises(ConfigError, match="nothing to hold"):
        of_path(written(tmp_path, "empty.jsonl", [{"odd": 1}]))


def test_stores_give_pairs_votes_and_groups(tmp_path):
    rows = [{"context": "c", "completions": [{"rank": k, "completion": f"answer {k}"} for k in range(3)]}]
    path = written(tmp_path, "ranked.jsonl", rows)
    with open_store(tmp_path / "store") as store:
        list(bring(store, Format.NEMO_RANKING, [path], on_problem=lambda one: pytest.fail(one.why)))
        found = of_store(store)
    assert sorted((said(found.items[p.better].completion), said(found.items[p.worse].completion)) for p in found.pairs) == [
        ("answer 0", "answer 1"), ("answer 0", "answer 2"), ("answer 1", "answer 2"),
    ]  # fmt: skip
    assert {tuple(sorted(one.tags)) for one in found.pairs} == {("annotator", "source")}
    assert len(of_path(tmp_path / "store").pairs) == 3


def test_the_noise_ceiling_comes_from_those_who_answered_the_same():
    gathered = Gathering()
    texts = [TextSegment("p", "a"), TextSegment("p", "b")]
    for first in (True, True, False):
        gathered.pair(*(texts if first else texts[::-1]), {})
    assert gathered.done().votes == ((2, 1),)
    ceiling = gathered.done().ceiling(generator(0))
    assert ceiling.agreement.value == pytest.approx(1 / 3)


def test_accuracy_counts_equal_scores_as_half_and_stands_beside_trivial_scorers():
    material = pairs_of(("a b c", "a"), ("a", "b"), ("a", "b c d"), ("a b", "c"))
    card = reward_card(FunctionSignal("words", words), material, config=CardConfig())
    assert card.accuracy.value == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    longer = next(one for one in card.rivals if one.name == "longer")
    assert (longer.accuracy.value, longer.ahead.value) == (pytest.approx(2.5 / 4), pytest.approx(0))
    assert card.pairs == card.prompts == 4


def test_calibration_is_measured_on_other_prompts_than_the_temperature(monkeypatch):
    rng = generator(0, "calibrated")
    one = draw(0, 1000)
    size = 2 * rng.standard_normal(1000)
    margins = np.where(rng.random(1000) < 1 / (1 + np.exp(-np.abs(size))), np.abs(size), -np.abs(size))
    good, sure = (calibrated(one.material.pairs, scale * margins, 0) for scale in (1.0, 4.0))
    assert good.temperature == pytest.approx(1, abs=0.25)
    assert sure.temperature == pytest.approx(4 * good.temperature, rel=1e-6)
    assert sure.error > 0.1 > good.error and sure.loss > sure.loss_after  # noqa: PT018
    assert sure.error_after == pytest.approx(good.error_after)
    assert sum(b.count for b in good.bins) < 1000
    assert calibrated(one.material.pairs[:30], margins[:30], 0) is None


def test_edits_keep_or_break_their_contract():
    texts = [TextSegment(f"p{k}", " ".join(["word"] * (8 + k % 5)) + ". Yes.") for k in range(40)]
    broken = {one.edit: one for one in effects(FunctionSignal("words", words), texts, unit=2.0, seed=0)}
    assert broken["whitespace added"].effect.value == 0
    assert broken["courtesies added"].p < 1e-6  # nine words more must not pay, and do
    assert broken["cut to a quarter"].p > 0.99  # costs, as it must
    shorter = {one.edit: one for one in effects(FunctionSignal("x", lambda t: -words(t)), texts, unit=2.0, seed=0)}
    assert shorter["cut to a quarter"].p < 1e-6
    assert shorter["courtesies added"].p > 0.99
    same = [Edit("none", Contract.SAME, lambda text, _: text)]
    assert effects(FunctionSignal("words", words), texts, unit=1.0, seed=0, edits=same) == ()


def test_edits_of_a_conversation_change_its_last_turn():
    text = TextSegment(
        "p", (Message("assistant", "First."), Message("user", "And?"), Message("assistant", "One. Two."))
    )
    seen = []

    def score(texts):
        seen.extend(texts)
        return np.zeros(len(texts))

    effects(FunctionSignal("x", score), [text, TextSegment("q", "One. Two.")], unit=1.0, seed=0, edits=EDITS[:2])
    changed = [one.completion for one in seen if isinstance(one.completion, tuple)][1:]
    assert [turns[2].content for turns in changed] == ["One. Two.\n\n", "**One.**\n- Two."]
    assert all(turns[:2] == text.completion[:2] for turns in changed)


def test_pieces_sum_to_the_score_whatever_the_reward():
    text = TextSegment("p", "  one two\n\nthree, four ")
    assert "".join(words_of(said(text.completion))) == said(text.completion)
    odd = FunctionSignal("odd", lambda texts: np.array([len(t.completion) ** 2 % 97 for t in texts], float))
    found = explain(odd, text)
    assert len(found.pieces) == 4
    assert found.start + sum(found.values) == pytest.approx(found.total, abs=1e-9)
    assert abs(found.gap) < 1e-9
    few = by_prefix(odd, TextSegment("p", "w " * 100), pieces=8)
    assert len(few.pieces) <= 8
    assert abs(few.gap) < 1e-9


def test_what_is_nearest():
    states = np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 3.0], [-3.0, -3.1]])
    assert [k for k, _ in nearest(states, 0, 2)] == [1, 2]
    assert nearest(np.ones((3, 2)), 0, 5) == [(1, 0.0), (2, 0.0)]


def test_a_reward_that_contradicts_itself_is_told():
    count = iter(range(10**6))
    drifting = FunctionSignal(
        "drifting", lambda texts: np.array([-float(len(t.completion)) + next(count) for t in texts])
    )
    card = reward_card(drifting, pairs_of(("a b c d e f g h i j k l m n", "b")), config=CardConfig())
    assert "attribution" in [one.name for one in card.findings]


def test_planted_biases_are_found_and_clean_scorers_are_not_blamed():
    """The benchmark at smaller size."""
    found = dict.fromkeys(BIASES, 0)
    wrong = 0
    for seed in range(2):
        one = draw(1000 + seed, 600)
        wrong += bool(flagged(card_of(one, clean(one))))
        for name, (scorer, finds) in BIASES.items():
            found[name] += finds(card_of(one, scorer(one)))
    assert wrong == 0
    assert min(found.values()) == 2, found


def test_a_planted_token_is_ranked_first():
    assert sum(trigger_first(seed) for seed in range(20)) >= 19


def test_a_constant_and_an_inverted_reward_are_problems():
    one = draw(5, 200)
    for scorer, name in (
        (lambda texts: np.zeros(len(texts)), "constant"),
        (lambda texts: -clean(one)(texts), "accuracy"),
    ):
        card = reward_card(FunctionSignal("x", scorer), one.material, config=CardConfig(edited=10, prefixed=10))
        assert (card.findings[0].severity, card.findings[0].name) == (Severity.PROBLEM, name)


def test_scores_that_are_none_are_refused():
    material = pairs_of(("a", "b"))
    for bad in (lambda t: [np.nan] * len(t), lambda t: [1.0], lambda t: ["x"] * len(t)):
        with pytest.raises(LearningError, match="gave"):
            reward_card(FunctionSignal("bad", bad), material, config=CardConfig())


def test_distance_to_the_truth():
    material = draw(6, 100).material
    copy = reward_card(
        FunctionSignal("x", lambda t: 3 * words(t) + 1), material, config=CardConfig(), gold=FunctionSignal("g", words)
    )
    assert copy.distance.distance == pytest.approx(0, abs=1e-9)
    assert copy.distance.agreement.value == 1
    against = reward_card(TRIVIAL["shorter"], material, config=CardConfig(), gold=TRIVIAL["longer"])
    assert against.distance.distance == pytest.approx(1)


def test_languages():
    for name, text in {
        "en": "It is not that the sea was with you.", "de": "Das ist nicht auf dem See und für die Leute.",
        "fr": "Il est dans le jardin avec une fleur pour elle.", "zh": "\u6d77\u662f\u4ec0\u4e48\u989c\u8272",
        "ja": "\u6d77\u306f\u4f55\u8272\u3067\u3059\u304b", "cyrillic": "\u041c\u043e\u0440\u0435", "unknown": "xq zz",
    }.items():  # fmt: skip
        assert language(text) == name


EVIL = "<script>alert(1)</script>\"'&"


def test_the_page_says_what_the_json_says_and_cannot_be_broken_out_of():
    gathered = Gathering()
    for k in range(60):
        gathered.pair(
            TextSegment(f"{EVIL} {k}", f"a {EVIL} b {k}"),
            TextSegment(f"{EVIL} {k}", "x y z " * (k % 4 + 1)),
            {EVIL: EVIL},
        )
    card = reward_card(
        FunctionSignal(EVIL, words), gathered.done(), config=CardConfig(), data=EVIL, gold=TRIVIAL["shorter"]
    )
    page, data = render_card(card), to_json(card)
    assert "<script" not in page
    assert card.examples and card.prefixes and card.calibrated  # noqa: PT018
    numbers = re.findall(r'<data value="([^"]*)" data-path="([^"]*)"', page)
    assert len(numbers) > 60
    for value, path in numbers:
        there = data
        for step in path.split("."):
            there = there[int(step) if step.isdigit() else step]
        assert float(unescape(value)) == pytest.approx(there, nan_ok=False)


def test_the_verb_writes_page_and_numbers(tmp_path, capsys):
    rows = [
        {"prompt": f"q{k}", "chosen": f"{'good ' * (k % 3 + 1)}word {k}", "rejected": f"bad {k}"} for k in range(60)
    ]
    data = written(tmp_path, "pairs.jsonl", rows)
    own = tmp_path / "own.py"
    own.write_text("def score(texts):\n    return [t.completion.count('good') for t in texts]\n")
    out = tmp_path / "card.html"
    assert main(["reward", "card", f"{own}:score", "--data", str(data), "--out", str(out)]) in (0, 1)
    assert "Right in 100%" in capsys.readouterr().out
    assert json.loads((tmp_path / "card.json").read_text())["pairs"] == 60
    assert "reward card" in out.read_text()
    for bad in ("nowhere", f"{own}:nothing", "no_such_module:score"):
        assert main(["reward", "card", bad, "--data", str(data)]) == 2


def test_functions_are_found_by_name(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("number = 3\n")
    with pytest.raises(ConfigError, match="must be a function"):
        of_function(f"{own}:number")
    assert right(np.array([1.0, 0.0, -1.0])).tolist() == [1, 0.5, 0]
