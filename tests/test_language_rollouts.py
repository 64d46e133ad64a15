"""Rollouts that are kept: every completion with what it was worth, the same bytes each time, and what is damaged is named."""

import gzip
import json

import pytest
import torch

from plaudit.errors import RunError
from plaudit.language.experience import Experience
from plaudit.language.rollouts import FOLDER, Judged, judged, numbers, read, samples_of, write
from plaudit.records import Message, Sample
from plaudit.worlds.prompts import Prompt
from tests.language_rollouts import rollout, scores

ASKED = (Prompt("one ?", "a:1"), Prompt((Message("user", "two ?"),), "a:2"), Prompt("three ?", "b:1"))
SAMPLES = [
    Sample("one ?", "yes .", "a:1", 3, True, reward=0.5, spread=0.0, advantage=-1.5, kl=0.25),
    Sample((Message("user", "two ?"),), (Message("assistant", "nö\n\x1b[2J"),), "a:2", 4, False),
]


def experience(*, reference):
    found = rollout()
    tokens = len(found.batch.row)
    numbers = torch.arange(tokens, dtype=torch.float64)
    given = scores(len(found.batch))
    old = found.logprobs - 0.5 if reference else None
    return Experience(found, given, given, numbers, torch.ones(tokens), None, old, {})


def test_what_a_learner_made_of_a_rollout_by_hand():
    found = experience(reference=True)
    known = judged(found)
    first = 0
    for row, length in enumerate(found.rollout.batch.lengths.tolist()):
        assert known.advantage[row] == pytest.approx(first + (length - 1) / 2)  # the mean of consecutive numbers
        assert known.kl[row] == pytest.approx(length / 2, rel=1e-5)
        first += length
    assert judged(experience(reference=False)).kl is None


def test_every_completion_is_kept_with_its_prompt():
    found = experience(reference=True)
    texts = [f"text {number}" for number in range(9)]
    samples = samples_of(ASKED, found.rollout, texts, judged(found))
    assert [one.where for one in samples] == ["a:1"] * 3 + ["a:2"] * 2 + ["b:1"] * 4
    assert [one.completion for one in samples] == texts
    assert [one.tokens for one in samples] == found.rollout.batch.lengths.tolist()
    assert [one.finished for one in samples] == [False, False, *[True] * 7]
    assert samples[3].reward is None  # it had no score
    assert samples[3].spread is None
    assert samples[4].reward == float(found.scores[4])
    bare = samples_of(ASKED, found.rollout, texts, Judged())
    assert {(one.reward, one.advantage, one.kl, one.gold) for one in bare} == {(None, None, None, None)}


def test_rollouts_come_back_and_have_the_same_bytes_each_time(tmp_path):
    for number in (2, 10, 1):
        write(tmp_path, number, SAMPLES)
    assert numbers(tmp_path) == [1, 2, 10]
    assert read(tmp_path, 10) == SAMPLES
    files = sorted((tmp_path / FOLDER).iterdir())
    assert [file.name for file in files] == ["000001.jsonl.gz", "000002.jsonl.gz", "000010.jsonl.gz"]
    assert len({file.read_bytes() for file in files}) == 1
    rows = [json.loads(line) for line in gzip.decompress(files[0].read_bytes()).splitlines()]
    assert rows[0]["advantage"] == -1.5
    assert set(rows[1]) == {"prompt", "completion", "where", "tokens", "finished"}
    write(tmp_path, 2, SAMPLES[:1])
    assert read(tmp_path, 2) == SAMPLES[:1]


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b", gzip.compress(b"{"), gzip.compress(b'{"prompt": 3}')])
def test_what_is_missing_or_damaged_is_named(damage, tmp_path):
    assert numbers(tmp_path) == []
    with pytest.raises(RunError, match="cannot be read"):
        read(tmp_path, 1)
    write(tmp_path, 1, SAMPLES)
    with pytest.raises(RunError, match=r"000002.*one from 1 to 1"):
        read(tmp_path, 2)
    (tmp_path / FOLDER / "000001.jsonl.gz").write_bytes(damage)
    with pytest.raises(RunError, match="000001"):
        read(tmp_path, 1)
