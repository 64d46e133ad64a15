"""One optimiser step: schedule, guard, micro-batches, and checkpoints that go on with equal bits."""

import ast
import inspect
import math
import textwrap

import pytest
import torch
from hypothesis import strategies as st
from torch.nn import Parameter

from plaudit.engine.batch import Batch
from plaudit.errors import ConfigError, IntegrityError, LearningError, RunError
from plaudit.language.direct import DirectConfig
from plaudit.language.group_config import GroupConfig
from plaudit.language.sft import SftConfig
from plaudit.language.update import (
    PATIENCE,
    Schedule,
    Update,
    UpdateConfig,
    keep,
    lasting,
    named,
    parts,
    rate,
    resume,
    rows_of_step,
)
from tests.ops_examples import SEEDS, examples


def test_schedules_by_hand():
    def rates(schedule, warmup=0):
        config = UpdateConfig(learning_rate=8.0, schedule=schedule, warmup=warmup)
        return [rate(config, step, 4) for step in range(4)]

    assert rates(Schedule.CONSTANT) == [8.0] * 4
    assert rates(Schedule.LINEAR) == [8.0, 6.0, 4.0, 2.0]
    assert rates(Schedule.COSINE) == pytest.approx([8 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)])
    assert rates(Schedule.LINEAR, warmup=2) == [4.0, 8.0, 8.0, 4.0]
    assert rate(UpdateConfig(), 9, 4) == 0.0  # past the end


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"max_grad_norm": -1.0}, {"warmup": -1}, {"max_tokens": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="update"):
        UpdateConfig(**wrong)


def test_a_step_is_adamws():
    """With clipping, decay of matrices only, and the schedule's rate."""
    values = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours, theirs = [[Parameter(values.clone()), Parameter(values[0].clone())] for _ in range(2)]
    config = UpdateConfig(learning_rate=0.1, weight_decay=0.2, max_grad_norm=0.5)
    update = Update(ours, config, steps=4)
    reference = torch.optim.AdamW(
        [{"params": theirs[:1]}, {"params": theirs[1:], "weight_decay": 0.0}], weight_decay=0.2
    )
    for step in range(4):
        metrics = update.step([(ours[0] ** 2).sum(), (ours[1] * 3).sum()])
        for group in reference.param_groups:
            group["lr"] = 0.1 * (1 - step / 4)
        reference.zero_grad()
        loss = (theirs[0] ** 2).sum() + (theirs[1] * 3).sum()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        reference.step()
        assert metrics["loss"] == pytest.approx(loss.item())
        assert metrics["grad_norm"] == pytest.approx(norm.item())
        assert metrics["learning_rate"] == pytest.approx(0.1 * (1 - step / 4))
        torch.testing.assert_close(ours[0], theirs[0])
        torch.testing.assert_close(ours[1], theirs[1])


def test_a_step_that_is_not_finite_changes_nothing_but_its_count():
    parameter = Parameter(torch.tensor([1.0, 2.0]))
    update = Update([parameter], UpdateConfig(learning_rate=0.1, schedule=Schedule.CONSTANT), steps=9)
    update.step([parameter.sum()])
    before, version = parameter.detach().clone(), parameter._version
    for broken in (math.nan, math.inf):
        metrics = update.step([parameter.sum(), parameter.sum() * broken])
        assert torch.equal(parameter, before)
    assert metrics["skipped_steps"] == 2.0
    assert (update.done, update.skipped) == (3, 2)
    update.step([parameter.sum()])
    assert not torch.equal(parameter, before)
    assert parameter._version > version  # models notice by it that merged weights are stale


def test_steps_that_are_never_finite_are_an_error():
    parameter = Parameter(torch.ones(1))
    update = Update([parameter], UpdateConfig(), steps=99)
    for _ in range(PATIENCE - 1):
        update.step([parameter.sum() * math.nan])
    with pytest.raises(LearningError, match=f"last {PATIENCE} steps"):
        update.step([parameter.sum() * math.nan])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_where_memory_runs_out_nothing_moves_and_it_is_said_what_to_lower(error):
    update, twin = (Update([Parameter(torch.ones(3))], UpdateConfig(max_tokens=99), steps=9) for _ in range(2))
    for one in (update, twin):
        one.step([(one.parameters[0] ** 2).sum()])

    def shares():
        yield update.parameters[0].sum()
        raise error

    with pytest.raises(LearningError, match=r"max_tokens.*now 99.*nothing was lost"):
        update.step(shares())
    assert update.parameters[0].grad is None
    assert (update.done, update.skipped) == (1, 0)
    steps = [one.step([(one.parameters[0] ** 3).sum()]) for one in (update, twin)]
    assert steps[0] == steps[1]
    assert torch.equal(update.parameters[0], twin.parameters[0])


def test_other_errors_go_through():
    def shares():
        yield from ()
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        Update([Parameter(torch.ones(3))], UpdateConfig(), steps=9).step(shares())


def test_nothing_to_train():
    with pytest.raises(LearningError, match="Nothing"):
        Update([], UpdateConfig(), steps=1)


def toy():
    values = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    parameters = [Parameter(values.clone()), Parameter(values[0].clone()), Parameter(values[1].clone())]
    return Update(parameters, UpdateConfig(learning_rate=0.1, warmup=2), steps=8)


def loss_of(update):
    first, second, _ = update.parameters  # the third never gets a gradient
    broken = math.nan if update.done == 3 else 1.0
    return broken * ((first @ second) ** 2).sum()


@pytest.mark.parametrize("stop", [0, 1, 4, 7])
def test_a_checkpoint_goes_on_with_equal_bits(stop, tmp_path):
    straight, first, second = toy(), toy(), toy()
    expected = [straight.step([loss_of(straight)]) for _ in range(8)]
    found = [first.step([loss_of(first)]) for _ in range(stop)]
    keep(first, tmp_path)
    resume(second, tmp_path)
    found += [second.step([loss_of(second)]) for _ in range(8 - stop)]
    assert repr(found) == repr(expected)  # NaN is not equal to itself
    assert all(torch.equal(a, b) for a, b in zip(second.parameters, straight.parameters, strict=True))
    assert (second.done, second.skipped) == (8, 1)


def test_only_the_newest_checkpoint_stays(tmp_path):
    update = toy()
    resume(update, tmp_path)  # there is none yet
    assert update.done == 0
    for _ in range(3):
        update.step([loss_of(update)])
        keep(update, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    other = toy()
    resume(other, tmp_path)
    assert other.done == 3


def test_a_training_is_named_by_all_that_it_depends_on():
    names = [named(UpdateConfig(), 0, [[1, 2]]), named(UpdateConfig(), 1, [[1, 2]]), named(UpdateConfig(), 0, [[1, 3]])]
    names.append(named(UpdateConfig(schedule=Schedule.COSINE), 0, [[1, 2]]))
    assert len(set(names)) == 4
    assert named(UpdateConfig(), 0, [[1, 2]]) == names[0]


def test_a_training_may_go_on_with_smaller_micro_batches():
    usual, small = SftConfig(max_length=64), SftConfig(max_length=64, update=UpdateConfig(max_tokens=7))
    assert named(usual, 0) == named(small, 0)
    assert named(GroupConfig(), 0) != named(GroupConfig(max_tokens=7), 0)  # of a completion
    assert lasting({"a": {"update": {"max_tokens": 7, "warmup": 1}}}) == {
        "a": {"update": {"max_tokens": None, "warmup": 1}}
    }


@pytest.mark.parametrize("config", [UpdateConfig, SftConfig, DirectConfig])
def test_every_setting_is_explained(config):
    """A string stands under each field; it becomes help and documentation."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0].body
    for field, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(following, ast.Expr), field.target.id
            assert isinstance(following.value.value, str)


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(tmp_path):
    update = toy()
    update.step([loss_of(update)])
    keep(update, tmp_path)
    with pytest.raises(RunError, match="other parameters"):
        resume(Update([Parameter(torch.ones(3))], UpdateConfig(), steps=8), tmp_path)
    with pytest.raises(RunError, match="other settings"):
        resume(Update(update.parameters, UpdateConfig(), steps=8, training="another"), tmp_path)
    file = tmp_path / (tmp_path / "latest").read_text() / "update.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(IntegrityError):
        resume(toy(), tmp_path)


@examples(st.integers(1, 9), st.integers(1, 7), SEEDS)
def test_every_epoch_takes_every_row_once(count, size, seed):
    steps = [rows_of_step(step, size, count=count, seed=seed, name="x") for step in range(2 * count)]
    assert all(len(step) == size for step in steps)
    flat = [row for step in steps for row in step]
    for start in range(0, len(flat) - count + 1, count):
        assert sorted(flat[start : start + count]) == list(range(count))


def cost(batch):
    return sum(map(len, batch.prompts)) + len(batch.tokens)


@examples(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=6), st.integers(1, 20))
def test_parts_keep_groups_together_and_leave_nothing_out(groups, most):
    batch = Batch.of([[1, 2]] * len(groups), [[[7] * length for length in group] for group in groups])
    found = list(parts(batch, most))
    assert torch.equal(torch.cat([part.rows for part in found]), torch.arange(len(batch)))
    assert torch.equal(torch.cat([part.tokens for part in found]), torch.arange(len(batch.tokens)))
    held = [group for part in found for group in part.batch.completions]
    assert [len(group) for group in held] == [len(group) for group in groups]
    for part in found:
        assert cost(part.batch) <= most or len(part.batch.prompts) == 1
    greedy = [batch.take(rows) for rows in batch.parts(most, whole=True)]
    assert len(found) == len(greedy)
    assert max(cost(part.batch) for part in found) <= max(map(cost, greedy))
