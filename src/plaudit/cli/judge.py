"""`plaudit judge STORE [WHAT]`: language models that judge texts; how far they agree with people, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from plaudit.ask.constitution import CONSTITUTION, Principle, ReviseConfig, Writer, keep, profile_of, revise
from plaudit.ask.endpoint import Endpoint, EndpointConfig
from plaudit.ask.injection import FlipRate, Flips, Place, flip_rates
from plaudit.ask.judge import Judge, JudgeConfig, Prefers, Reader
from plaudit.ask.judging import JudgingConfig, admit, agreement, answer, some_pairs, some_texts
from plaudit.ask.rubric import Rubric
from plaudit.engine.load import EXTRA, Dtype, ModelConfig
from plaudit.errors import ConfigError
from plaudit.quality.trust import Trust, TrustConfig, share
from plaudit.run.directory import RunDirectory
from plaudit.run.optional import require
from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined
from plaudit.store.store import Store


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible endpoint instead of a model on this machine."""

    url: str = ""
    """address up to /chat/completions, for example http://127.0.0.1:8000/v1; empty: the model runs here"""
    key_variable: str = ""
    """environment variable that holds the key; empty: none is sent"""
    timeout: float = 60.0
    """seconds that one reply may take"""
    retries: int = 4
    """attempts beside the first"""
    at_once: int = 4
    """requests at a time"""


@dataclass(frozen=True)
class Arguments:
    """Let a language model judge the texts of a store.

    `measure` holds it against the people who answered, beside the length of the texts; exit status 1 when it would not be let
    in. `answer` does the same and then answers questions, under a name of its own. `attack` plants orders in the texts and
    tells how often verdicts flip; with --reward those of a reward. `revise` criticises and rewrites completions by principles.
    """

    directory: Annotated[Path, tyro.conf.Positional]
    """of a run or of imports"""
    what: Annotated[Literal["measure", "answer", "attack", "revise"], tyro.conf.Positional] = "measure"
    """what to do"""
    model: str = ""
    """directory of a Transformers model or of a PEFT adapter; with --server.url, the model's name there"""
    dtype: Dtype = Dtype.FLOAT32
    """how a model here is held"""
    device: str = "cpu"
    """where a model here runs"""
    server: Server = field(default_factory=Server)
    """a server that answers instead"""
    rubric: Path | None = None
    """text file that says what makes an answer better; without one, a general rubric"""
    language: str = "en"
    """of what the judge is told: en, zh"""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """who the judge is"""
    trust: TrustConfig = field(default_factory=TrustConfig)
    """when it is let in"""
    on: Path | None = None
    """directory of another store whose people it is held against, for example imported PandaLM"""
    ask: JudgingConfig = field(default_factory=JudgingConfig)
    """answer: which questions"""
    pairs: int = 20
    """attack: pairs of texts in which orders are planted"""
    reward: Path | None = None
    """attack: folder of a reward of texts, instead of a judge"""
    principles: Path | None = None
    """revise: text file with a principle in each line; without one, three general ones"""
    texts: int = 20
    """revise: completions that are rewritten, drawn at random"""
    revision: ReviseConfig = field(default_factory=ReviseConfig)
    """revise: how often, how long"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit judge", config=(tyro.conf.EnumChoicesFromValues,))
    with _store(given.directory) as store:
        match given.what:
            case "measure":
                return _measure(given, store)
            case "answer":
                return _answer(given, store)
            case "attack":
                return _attack(given, store)
            case "revise":
                return _revise(given, store)


def _measure(given: Arguments, store: Store) -> int:
    judge = _judge(given)
    with _progress("questions that people decided") as each:
        if given.on is None:
            found = agreement(store, judge, given.trust, each=each)
        else:
            with _store(given.on) as other:
                found = agreement(other, judge, given.trust, each=each)
    _tell(judge, found)
    why = found.refusal(given.trust)
    _say("It would be let in." if why is None else f"It would not be let in: {why}.")
    return 0 if why is None else 1


def _answer(given: Arguments, store: Store) -> int:
    judge = _judge(given)
    with _progress("questions that people decided") as each:
        if given.on is None:
            found = admit(store, judge, given.trust, each=each)
        else:
            with _store(given.on) as other:
                found = admit(store, judge, given.trust, on=other, each=each)
    _tell(judge, found)
    with _progress("answers") as each:
        count = answer(store, judge, given.ask, each=each)
    _say(f"{count} new answers of {judge.profile.id} in {given.directory}")
    return 0


def _attack(given: Arguments, store: Store) -> int:
    pairs = some_pairs(store, given.pairs, seed=given.trust.seed)
    with _progress("sentences") as each:
        found = flip_rates(_reward(given.reward) if given.reward else _judge(given), pairs, each=each)
    console = Console()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("place", "language", "wants", "flipped", "said A when told to"):
        table.add_column(name)
    for one in found.rates:
        table.add_row(*_row(one))
    console.print(table)
    _say(_flips(found))
    return 0


def _revise(given: Arguments, store: Store) -> int:
    writer = _writer(given)
    principles = _principles(given.principles)
    texts = some_texts(store, given.texts, seed=given.revision.seed)
    found = revise(writer, texts, principles, given.revision)
    profile = profile_of(writer, principles, given.revision)
    keep(store, found, profile)
    made = sum(one.revised is not None for one in found)
    _say(f"{made} of {len(found)} completions rewritten by {profile.id} in {given.directory}")
    return 0


def _judge(given: Arguments) -> Judge:
    criterion = "" if given.rubric is None else given.rubric.read_text(encoding="utf-8").strip()
    return Judge(_reader(given), Rubric(criterion, given.language), given.judge)


def _reader(given: Arguments) -> Reader:
    if given.server.url:
        return _endpoint(given)
    require("transformers", EXTRA)
    from plaudit.language.judge import LetterReader

    model, name = _loaded(given)
    return LetterReader(model, name)


def _writer(given: Arguments) -> Writer:
    if given.server.url:
        return _endpoint(given)
    require("transformers", EXTRA)
    from plaudit.language.judge import LocalWriter

    model, name = _loaded(given)
    return LocalWriter(model, name)


def _endpoint(given: Arguments) -> Endpoint:
    server = given.server
    return Endpoint(
        EndpointConfig(
            url=server.url,
            model=given.model,
            key_variable=server.key_variable,
            timeout=server.timeout,
            retries=server.retries,
            at_once=server.at_once,
        )
    )


def _loaded(given: Arguments) -> tuple[Any, str]:
    """A model of this machine, and a name for its weights: a folder's name and the hash of its files."""
    import torch

    from plaudit.engine.load import load
    from plaudit.engine.model import LanguageModel
    from plaudit.loop.texts.models import digest_of

    if not given.model:
        raise ConfigError(
            "There is no model to ask",
            expected="--model DIRECTORY, or --server.url with the model's name there",
            next_step="`plaudit model import smollm2 DIRECTORY` makes a small one",
        )
    there = load(ModelConfig(given.model, given.dtype, given.device))
    dtype = {Dtype.FLOAT32: torch.float32, Dtype.BFLOAT16: torch.bfloat16}[given.dtype]
    folder = Path(given.model)
    return LanguageModel(there.module, there.tokenizer, dtype=dtype), f"{folder.name}-{digest_of(folder)[:8]}"


def _reward(folder: Path) -> Prefers:
    require("transformers", EXTRA)
    from plaudit.engine.model import LanguageModel
    from plaudit.language.judge import RewardJudge
    from plaudit.language.scorer import TextReward

    return RewardJudge(TextReward.load(folder, LanguageModel.load(folder)))


def _principles(file: Path | None) -> tuple[Principle, ...]:
    if file is None:
        return CONSTITUTION
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    return tuple(Principle(line) for line in lines if line)


def _tell(judge: Judge, found: Trust) -> None:
    _say(f"{judge.profile.id}: {judge.profile.description}")
    accuracy = found.accuracy.reason if isinstance(found.accuracy, Undefined) else share(found.accuracy.interval)
    _say(f"agrees with people: {accuracy}, on {found.answers} decided answers to {found.questions} questions")
    gain = "" if isinstance(found.gain, Undefined) else f"; the judge's gain {_points(found.gain.interval)}"
    _say(f"the {found.habit} text agrees with them: {found.baseline:.1%}{gain}")
    _say(f"ties {found.tied}, no answer {found.silent}")


def _points(one: Interval) -> str:
    return f"{100 * one.value:+.1f} points [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"


def _row(one: FlipRate) -> list[str]:
    shown = ["" if isinstance(rate, Undefined) else share(rate.interval) for rate in (one.flipped, one.obeyed)]
    return [one.injection.place.value, one.injection.language, one.injection.aim.value, *shown]


def _flips(found: Flips) -> str:
    rates = ", ".join(
        f"{place.value} {found.rate(place):.1%} (harmless {found.rate(place, control=True):.1%})" for place in Place
    )
    return f"flip rate: {rates}; {found.decided} of {found.asked} pairs had a verdict"


def _say(text: str) -> None:
    Console(highlight=False).print(text, markup=False, soft_wrap=True)


@contextmanager
def _store(directory: Path) -> Generator[Store]:
    place = RunDirectory(directory)
    place.require()
    with Store.open(place.store) as store:
        yield store


@contextmanager
def _progress(what: str) -> Generator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, count: bar.update(task, completed=done, total=count)
