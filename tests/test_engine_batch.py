"""Ragged batches: what they hold, how they are cut, what they refuse."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.engine.batch import Batch
from plaudit.errors import RecordError
from tests.engine_examples import ragged

GROUPS = st.lists(
    st.tuples(st.integers(0, 6), st.lists(st.integers(1, 7), min_size=1, max_size=4)), min_size=1, max_size=5
)


def test_what_a_batch_holds():
    batch = Batch.of([[5, 6], [7]], [[[1, 2, 3], [4]], [[8, 9]]])
    assert batch.tokens.tolist() == [1, 2, 3, 4, 8, 9]
    assert batch.row.tolist() == [0, 0, 0, 1, 2, 2]
    assert batch.place.tolist() == [0, 1, 2, 0, 0, 1]
    assert batch.lengths.tolist() == [3, 1, 2]
    assert batch.group.tolist() == [0, 0, 1]
    assert batch.starts.tolist() == [0, 3, 4]
    assert batch.slices == (slice(0, 3), slice(3, 4), slice(4, 6))
    assert len(batch) == 3


def test_taking_rows_takes_their_prompts_and_tokens():
    batch = Batch.of([[5, 6], [7], [3]], [[[1, 2, 3], [4]], [[8, 9]], [[2]]])
    some = batch.take([1, 3])
    assert [prompt.tolist() for prompt in some.prompts] == [[5, 6], [3]]
    assert [[one.tolist() for one in group] for group in some.completions] == [[[4]], [[2]]]
    assert batch.where([1, 3]).tolist() == [3, 6]


@pytest.mark.parametrize("rows", [[], [1, 0], [0, 0], [-1], [4]])
def test_rows_that_cannot_be_taken(rows):
    with pytest.raises(RecordError, match="increasing"):
        Batch.of([[5, 6], [7], [3]], [[[1, 2, 3], [4]], [[8, 9]], [[2]]]).take(rows)


@pytest.mark.parametrize(
    ("prompts", "completions", "why"),
    [
        ([], [], "one group"),
        ([[1]], [], "one group"),
        ([[1]], [[]], "not empty"),
        ([[1]], [[[2], []]], "not empty"),
    ],
)
def test_what_is_no_batch(prompts, completions, why):
    with pytest.raises(RecordError, match=why):
        Batch.of(prompts, completions)


def test_ids_must_be_integers():
    with pytest.raises(RecordError, match="token ids"):
        Batch((torch.tensor([1.0]),), ((torch.tensor([1]),),))


@given(GROUPS, st.integers(1, 30))
def test_parts_are_all_rows_once_and_small_and_keep_groups_together(groups, limit):
    batch = ragged(groups)
    parts = list(batch.parts(limit))
    assert [row for part in parts for row in part] == list(range(len(batch)))
    for part in parts:
        cut = batch.take(part)
        size = sum(len(prompt) for prompt in cut.prompts) + len(cut.tokens)
        assert size <= limit or len(part) == 1
        assert cut.tokens.tolist() == batch.tokens[batch.where(part)].tolist()
    for number, (prompt, lengths) in enumerate(groups):
        rows = set((batch.group == number).nonzero().flatten().tolist())
        if prompt + sum(lengths) <= limit:
            assert any(rows <= set(part) for part in parts)
