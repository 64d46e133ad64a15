"""Talking in the terminal: pieces add up, characters come whole, stop words never show, judgements land in the store."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

from plaudit.cli.main import main
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.errors import ConfigError
from plaudit.records import Choice, Comparison, Message, Rating
from plaudit.run.directory import RunDirectory
from plaudit.serving.chat import Chat, ChatConfig
from plaudit.serving.speaker import Speaker, Wish, _Said
from plaudit.store.store import Store
from tests.text_examples import tokenizer
from tests.text_runs import tiny


@pytest.fixture(scope="module")
def speaker():
    return Speaker(LanguageModel.load(tiny()))


def told(ids: list[int], words: tuple[str, ...] = (), most: int = 100) -> list[str]:
    from plaudit.engine.text import Tokeniser

    tokeniser = Tokeniser(tokenizer())
    said = _Said(0, words, tokeniser.stop, most)
    pieces = [said.add(number, tokeniser) for number in ids if not said.over]
    return [piece.text for piece in pieces if piece is not None]


def test_characters_of_several_tokens_come_whole():
    made = tokenizer()
    ids = made("héllo 世界")["input_ids"]
    found = told(ids, most=len(ids))
    assert "".join(found) == "héllo 世界"
    assert not any("\ufffd" in text for text in found)


@pytest.mark.parametrize("word", ["cat", " sat", "t o", "x"])
def test_stop_words_never_show_however_tokens_cut_them(word):
    text = "the cat sat on the mat"
    ids = tokenizer()(text)["input_ids"]
    found = told(ids, (word,), most=len(ids))
    assert "".join(found) == text.partition(word)[0]


def test_a_conversation_remembers_and_a_plain_one_does_not(speaker, monkeypatch):
    seen = []
    speak = speaker.speak
    monkeypatch.setattr(speaker, "speak", lambda wish: seen.append(wish.prompt) or speak(wish))
    chat = Chat(speaker, ChatConfig(system="be kind", max_tokens=4, seed=1))
    first = "".join(chat.say("hi"))
    "".join(chat.say("again"))
    system, said = Message("system", "be kind"), Message("user", "hi")
    assert seen[1] == (system, said, Message("assistant", first), Message("user", "again"))
    chat.begin()
    "".join(chat.say("anew"))
    assert seen[2] == (system, Message("user", "anew"))
    "".join(Chat(speaker, ChatConfig(plain=True, max_tokens=4)).say("the cat"))
    assert seen[3] == "the cat"


def test_the_same_seed_says_the_same(speaker):
    def talk(seed):
        chat = Chat(speaker, ChatConfig(max_tokens=8, seed=seed, temperature=1.0))
        return ["".join(chat.say(line)) for line in ("hi", "again")]

    assert talk(4) == talk(4)
    assert talk(4) != talk(5)


def test_answers_are_cut_to_the_room_that_is_left(speaker):
    wish = Wish((Message("user", "a" * 200),), Sampling(max_tokens=100), 0)
    cut = speaker.fitted(wish, None)
    assert len(speaker.prompt_ids(cut)) + cut.sampling.max_tokens == speaker.model.context
    with pytest.raises(ConfigError, match="does not fit"):
        speaker.prompt_ids(wish)


def lines(monkeypatch, *said: str) -> None:
    left = iter(said)

    def read(_: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(builtins, "input", read)


def test_judgements_from_the_terminal_are_in_the_store(tmp_path: Path, monkeypatch, capsys):
    lines(monkeypatch, "hello", "/up", "/two", "1", "/two", "", "/what", "/new", "/down", "/help", "/quit", "never")
    words = ["--store", str(tmp_path / "queue"), "--max-tokens", "6", "--seed", "2", "--threads", "1"]
    assert main(["chat", str(tiny()), *words, "--temperature", "1", "--annotator", "ann"]) == 0
    said = capsys.readouterr().out
    assert "There is no such command" in said
    assert "Nothing was said yet" in said  # the thumb down after /new
    assert "/down" in said
    with Store.open(RunDirectory(tmp_path / "queue").store) as store:
        rating, comparison = [one for _, one in store.feedback()]
        assert isinstance(rating, Rating)
        assert (rating.value, rating.annotator) == (1, "ann")
        assert isinstance(comparison, Comparison)
        first = store.query(comparison.query)
        assert comparison.choice is (Choice.FIRST, Choice.SECOND)[first.shown[0]]
        assert len(store.unanswered()) == 1


def test_without_a_store_nothing_is_kept_and_that_is_said(monkeypatch, capsys):
    lines(monkeypatch, "hello", "/up", "/two")
    assert main(["chat", str(tiny()), "--max-tokens", "4", "--threads", "1"]) == 0
    assert capsys.readouterr().out.count("There is no store") == 2
