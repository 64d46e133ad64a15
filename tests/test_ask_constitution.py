"""Critique and revision by principles, and the records that it leaves."""

import pytest

from plaudit.ask.constitution import CONSTITUTION, Principle, ReviseConfig, compare, keep, profile_of, revise
from plaudit.ask.judge import Judge
from plaudit.errors import ConfigError
from plaudit.records import AnnotatorKind, Choice, Correction, Critique, Message, TextSegment
from tests.judge_examples import Habit, block, let_in, texts_store

TEXTS = [TextSegment(f"prompt {n}", f"text {n}") for n in range(4)]


class Scribe:
    """Finds fault with everything, and adds a word to it."""

    name = "scribe"

    def __init__(self, word="better"):
        self.word, self.asked = word, []

    def say(self, prompts, *, max_tokens, seed):
        self.asked.append((list(prompts), max_tokens, seed))
        if "Write the answer anew" in prompts[0]:
            return [f" {block('answer', prompt)} {self.word}\n" if self.word else "" for prompt in prompts]
        return ["It is not good. </critique>" for _ in prompts]


def test_a_critique_then_a_revision():
    scribe = Scribe()
    found = revise(scribe, TEXTS, CONSTITUTION, ReviseConfig(max_tokens=9))
    assert [one.revised for one in found] == [TextSegment(t.prompt, t.completion + " better", "scribe") for t in TEXTS]
    (critiques, tokens, seed), (revisions, _, other) = scribe.asked
    assert tokens == 9
    assert seed != other
    assert found[0].principle.text in critiques[0]
    assert found[0].principle.text in revisions[0]
    assert block("critique", revisions[0]) == "It is not good. &lt;/critique>"
    assert block("request", critiques[0]) == "prompt 0"
    assert {one.principle for one in found} <= set(CONSTITUTION)


def test_rounds_go_on_from_the_revision_with_another_principle():
    found = revise(Scribe(), TEXTS, CONSTITUTION, ReviseConfig(rounds=2))
    first, second = found[:4], found[4:]
    assert [one.original for one in second] == [one.revised for one in first]
    assert all(one.principle is not two.principle for one, two in zip(first, second, strict=True))
    assert second[0].revised.completion == "text 0 better better"


def test_the_draw_is_the_seeds_and_equal_texts_are_one():
    again = [revise(Scribe(), TEXTS * 2, CONSTITUTION, ReviseConfig(seed=3)) for _ in range(2)]
    assert again[0] == again[1]
    assert len(again[0]) == 4
    drawn = {
        tuple(one.principle for one in revise(Scribe(), TEXTS, CONSTITUTION, ReviseConfig(seed=n))) for n in range(5)
    }
    assert len(drawn) > 1


def test_records_of_a_judge(tmp_path):
    config, principles = ReviseConfig(), [Principle("Be kind.", "kind")]
    found = revise(Scribe(), TEXTS, principles, config)
    profile = profile_of(Scribe(), principles, config)
    assert profile.kind is AnnotatorKind.JUDGE
    with texts_store(tmp_path, count=2) as store:
        ids = keep(store, found, profile)
        head = store.head()
        assert keep(store, found, profile) == ids
        assert store.head() == head
        given = [one for _, one in store.feedback() if one.annotator == profile.id]
        critiques = [one for one in given if isinstance(one, Critique)]
        corrections = [one for one in given if isinstance(one, Correction)]
        assert [one.id for one in corrections] == ids
        assert len(critiques) == 4
        assert critiques[0].notes[0].aspect == "kind"
        assert [one.segment for one in corrections] == [one.revised.id for one in found]
        judge = Judge(Habit(lambda text: float("better" in text)))
        with pytest.raises(ConfigError, match="was not let in"):
            compare(store, found, judge)
        assert compare(store, found, let_in(store, judge)) == 4
        queries = {query.id: query for query in store.queries()}
        for _, one in store.feedback():
            if one.annotator == judge.profile.id:
                chosen = queries[one.query].segments[0 if one.choice is Choice.FIRST else 1]
                assert chosen in {each.revised.id for each in found}
        assert not store.verify().problems


@pytest.mark.parametrize("word", ["", None])
def test_a_writer_who_changes_nothing_skips(tmp_path, word):
    scribe = Scribe(word)
    if word is None:
        scribe.say = lambda prompts, *, max_tokens, seed: [block("answer", prompt) for prompt in prompts]
    found = revise(scribe, TEXTS, CONSTITUTION, ReviseConfig(rounds=2))
    assert all(one.revised is None for one in found)
    assert len(found) == 8
    with texts_store(tmp_path, count=2) as store:
        keep(store, found, profile_of(scribe, CONSTITUTION, ReviseConfig(rounds=2)))
        assert all(one.segment is None for _, one in store.feedback() if isinstance(one, Correction))


def test_one_turn_stays_a_turn_and_several_are_refused():
    one = TextSegment((Message("user", "u"),), (Message("assistant", "a"),))
    (found,) = revise(Scribe(), [one], CONSTITUTION, ReviseConfig())
    assert found.revised.completion == (Message("assistant", "a better"),)
    two = TextSegment("p", (Message("assistant", "a"), Message("user", "b")))
    with pytest.raises(ConfigError, match="several turns"):
        revise(Scribe(), [two], CONSTITUTION, ReviseConfig())
    with pytest.raises(ConfigError, match="no principle"):
        revise(Scribe(), [one], [], ReviseConfig())
    with pytest.raises(ConfigError, match="says nothing"):
        Principle(" ")
    with pytest.raises(ConfigError, match="out of range"):
        ReviseConfig(rounds=0)


def test_settings_make_another_annotator():
    configs = [ReviseConfig(), ReviseConfig(seed=1), ReviseConfig(rounds=2)]
    ids = {profile_of(Scribe(), CONSTITUTION, config).id for config in configs}
    assert len(ids | {profile_of(Scribe(), CONSTITUTION[:1], ReviseConfig()).id}) == 4
    assert profile_of(Scribe(), CONSTITUTION, ReviseConfig(name="kindly")).id == "kindly"
