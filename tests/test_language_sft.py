"""Fine-tuning: equal to TRL end to end, however it is cut up, wherever it is killed; a tiny model learns its lines."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Group, Tokeniser
from plaudit.errors import ConfigError, LearningError, RecordError
from plaudit.language.sft import Sft, SftConfig, train
from plaudit.language.texts import Example, Pair, demonstrated, fitting, preferred
from plaudit.language.update import UpdateConfig
from plaudit.records import Choice, Comparison, Demonstration, Message, Query, QueryKind, TextSegment
from plaudit.run.monitor import Signal
from tests.golden import tiny
from tests.language_examples import END, adapted, parameters, same, whole

GOLDEN = json.loads((Path(__file__).parent / "golden" / "trl_end_to_end.json").read_text())
WORDS = ["cat", "dog", "sun", "tree", "milk"]
EXAMPLES = [Example(f"twice {word}?", f"{word} {word}.") for word in WORDS]
QUICK = SftConfig(steps=12, batch_size=3, checkpoint_every=4, update=UpdateConfig(learning_rate=1e-2, warmup=2))


def batch_of(model, examples):
    words = Tokeniser(model.tokenizer)
    rows = [words.group(example.prompt, [example.completion]) for example in examples]
    return Batch.of([row.prompt for row in rows], [row.completions for row in rows])


def test_a_step_equals_trl():
    model = LanguageModel(tiny.causal(0.0))
    batch = Batch.of(tiny.PROMPTS, [[chosen] for chosen in tiny.CHOSEN])
    metrics = Sft(model, SftConfig()).step(batch)
    for name in ("loss", "grad_norm", "entropy", "mean_token_accuracy"):
        assert metrics[name] == pytest.approx(GOLDEN["sft"][name], rel=1e-4)


@pytest.mark.parametrize("make", [whole, adapted])
def test_micro_batches_make_the_same_step(make):
    found = []
    weights = torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0], dtype=torch.float64)
    for most in (10_000, 40, 1):
        model = make(dtype=torch.float64)
        config = SftConfig(update=UpdateConfig(learning_rate=1e-2, max_tokens=most, max_grad_norm=1e9, epsilon=1.0))
        stage = Sft(model, config)
        metrics = [stage.step(batch_of(model, EXAMPLES), weights=weights) for _ in range(3)]
        found.append((metrics, parameters(model)))
    (expected, final), *others = found
    for metrics, values in others:
        for one, other in zip(metrics, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-9)
        for one, other in zip(values, final, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_an_example_without_weight_teaches_nothing():
    first, second = whole(), whole()
    weights = torch.tensor([1.0, 1.0, 0.0])
    odd = [*EXAMPLES[:2], Example("x", "zzzzzz")]
    one = Sft(first, SftConfig()).step(batch_of(first, odd), weights=weights)
    other = Sft(second, SftConfig()).step(batch_of(second, EXAMPLES[:2]))
    assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("make", [whole, adapted])
def test_a_tiny_model_learns_its_lines(make):
    model = make()
    config = SftConfig(steps=50, batch_size=5, update=UpdateConfig(learning_rate=1e-2))
    train(model, EXAMPLES, config, seed=0)
    for example in EXAMPLES:
        row = Tokeniser(model.tokenizer).group(example.prompt, [example.completion])
        with torch.no_grad():
            said = model.module.generate(
                input_ids=torch.tensor([row.prompt]),
                do_sample=False,
                max_new_tokens=12,
                eos_token_id=END,
                pad_token_id=END,
            )
        assert tuple(said[0, len(row.prompt) :].tolist()) == row.completions[0]


class Killed(BaseException):
    """What a kill looks like from inside."""


class Killer:
    """A monitor that dies at a step, or notes what it is told."""

    def __init__(self, at=None, stop=None):
        self.at, self.stop, self.told = at, stop, []

    def report(self, step, metrics):
        del step
        self.told.append(metrics)
        if len(self.told) == self.at:
            raise Killed
        return Signal.STOP if len(self.told) == self.stop else Signal.GO


@pytest.mark.parametrize("make", [whole, adapted])
@pytest.mark.parametrize("at", [2, 4, 7])
def test_killed_and_resumed_gives_equal_bits(make, at, tmp_path):
    straight, watch = make(), Killer()
    train(straight, EXAMPLES, QUICK, seed=0, monitor=watch)
    with pytest.raises(Killed):
        train(make(), EXAMPLES, QUICK, seed=0, folder=tmp_path, monitor=Killer(at))
    resumed, rest = make(), Killer()
    stage = train(resumed, EXAMPLES, QUICK, seed=0, folder=tmp_path, monitor=rest)
    assert same(parameters(resumed), parameters(straight))
    assert rest.told == watch.told[at // 4 * 4 :]
    assert stage.update.done == QUICK.steps
    again = make()
    train(again, EXAMPLES, QUICK, seed=0, folder=tmp_path)  # nothing is left to do
    assert same(parameters(again), parameters(straight))


SCRIPT = """
import sys
from pathlib import Path
from plaudit.language.sft import train
from plaudit.run.monitor import Signal
from tests.language_examples import adapted
from tests.test_language_sft import EXAMPLES, QUICK
class Slow:
    def report(self, step, metrics):
        import time
        print("step", flush=True)
        time.sleep(0.05)
        return Signal.GO
train(adapted(), EXAMPLES, QUICK, seed=0, folder=Path(sys.argv[1]), monitor=Slow())
"""


@pytest.mark.slow
def test_kill_9_and_resume_gives_equal_bits(tmp_path):
    straight = adapted()
    train(straight, EXAMPLES, QUICK, seed=0)
    for moment in (3, 6, 2):
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(moment):
                process.stdout.readline()
            time.sleep(0.02)
            process.kill()
    resumed = adapted()
    train(resumed, EXAMPLES, QUICK, seed=0, folder=tmp_path)
    assert same(parameters(resumed), parameters(straight))


def test_a_monitor_may_stop():
    stage = train(whole(), EXAMPLES, QUICK, seed=0, monitor=Killer(stop=5))
    assert stage.update.done == 5


def test_the_order_of_examples_is_the_seeds():
    runs = [whole(), whole(), whole()]
    for model, seed in zip(runs, (0, 0, 1), strict=True):
        train(model, EXAMPLES, QUICK, seed=seed)
    assert same(parameters(runs[0]), parameters(runs[1]))
    assert not same(parameters(runs[0]), parameters(runs[2]))


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="fine-tuning"):
        SftConfig(batch_size=0)


class Texts:
    """What is needed of a store."""

    def __init__(self, *texts):
        self.held = {text.id: text for text in texts}
        ids = tuple(self.held)
        self.asked = [
            Query(QueryKind.COMPARISON, ids[:2], (0, 1), 0, 0, "uniform"),
            Query(QueryKind.COMPARISON, ids[:2], (0, 1), 0, 1, "uniform", aspect="tone"),
            Query(QueryKind.COMPARISON, (ids[0], ids[2]), (0, 1), 0, 2, "uniform"),
        ]

    def queries(self):
        return self.asked

    def texts(self, ids):
        return {name: self.held[name] for name in ids}


def test_people_bring_examples_and_pairs():
    first, second, other = TextSegment("p", "one"), TextSegment("p", "two"), TextSegment("q", "three")
    store = Texts(first, second, other)
    plain, aspect, mixed = (query.id for query in store.asked)
    who = {"annotator": "a"}
    shown = [
        Demonstration(id="1", query=plain, segment=other.id, **who),
        Demonstration(id="2", query=plain, **who),
    ]
    assert demonstrated(shown, store) == [Example("q", "three")]
    choices = [
        (plain, Choice.SECOND),
        (plain, Choice.FIRST),
        (plain, Choice.TIE),
        (plain, Choice.SKIP),
        (aspect, Choice.FIRST),
    ]
    answers = [Comparison(id=f"c{n}", query=query, choice=choice, **who) for n, (query, choice) in enumerate(choices)]
    assert preferred([*answers, *shown], store) == [Pair("p", "two", "one"), Pair("p", "one", "two")]
    with pytest.raises(RecordError, match="different prompts"):
        preferred([Comparison(id="x", query=mixed, choice=Choice.FIRST, **who)], store)


def test_every_turn_of_the_assistant_is_learned():
    talk = (Message("assistant", "yo"), Message("user", "so"), Message("assistant", "no"))
    stages = []
    for examples in (
        [Example((Message("user", "hi"),), talk)],
        [Example((Message("user", "hi"),), talk[:1]), Example((Message("user", "hi"), *talk[:2]), talk[2:])],
    ):
        model = whole()
        train(model, examples, SftConfig(steps=2, batch_size=2), seed=0)
        stages.append(parameters(model))
    assert same(*stages)


def test_long_texts_are_left_out_whole():
    rows = [Group((1, 2), ((3,), (3, 4))), Group((1, 2), ((3, 4, 5), (3,)))]
    with pytest.warns(UserWarning, match="1 of 2 texts"):
        assert fitting(rows, 4) == [0]
    assert fitting(rows, 5) == [0, 1]
    with pytest.raises(LearningError, match="nothing to learn"):
        fitting(rows, 3)
