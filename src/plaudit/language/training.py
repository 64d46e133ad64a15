"""What `plaudit train` does: one function per stage, from settings and files to a folder that holds the result.

A folder holds `settings.json`, `metrics.jsonl`, `checkpoints/`, `rollouts/` where there are any and, at the end, `model/`. A
training whose folder is there already goes on where its newest checkpoint is, with equal bits, if its settings are the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from plaudit.engine.gemm import Gemm, probe
from plaudit.engine.load import Dtype, ModelConfig, add_lora, load
from plaudit.engine.load import LoraConfig as LoraConfig
from plaudit.engine.model import LanguageModel
from plaudit.engine.quiet import quiet
from plaudit.engine.text import Group
from plaudit.errors import ConfigError, RunError
from plaudit.language import direct, distill, group, offline, online, ppo, rest, rollouts, sft, unpaired
from plaudit.language.best_of_n import Learned
from plaudit.language.critic import Critic, paid_by
from plaudit.language.experience import Told
from plaudit.language.guard import TextGuard
from plaudit.language.guarded import guarding
from plaudit.language.memory import enough_memory
from plaudit.language.mixture import Mixture
from plaudit.language.process import by_sentence
from plaudit.language.reward import RewardFitting
from plaudit.language.scorer import TextReward, export
from plaudit.language.texts import Asked, AsUser, Logged, Read, asked_by_user, demonstrated, judged, preferred, rated
from plaudit.language.training_config import (
    DirectTraining,
    DistillTraining,
    GroupTraining,
    OfflineTraining,
    OnlineTraining,
    PPOTraining,
    RestTraining,
    RewardTraining,
    SftTraining,
    Training,
    UnpairedTraining,
)
from plaudit.language.update import done_at, keep, lasting, resume
from plaudit.ops.direct import Alone
from plaudit.records.codec import canonical_json, to_json
from plaudit.reward.texts import TextStore
from plaudit.run.directory import RunDirectory, writing
from plaudit.run.monitor import Signal
from plaudit.run.sinks import Sinks
from plaudit.store.store import Store

SETTINGS, DATA = "settings.json", "data.json"
"""files of a training's folder: what it was asked to do, and what its store held when it began"""
Each = Callable[[int, int, Mapping[str, float]], None]
"""told the number of a step, how many there are, and its metrics"""


def train_sft(given: SftTraining, each: Each) -> Path:
    """Supervised fine-tuning. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        with _store(given.store) as store:
            examples = demonstrated([answer for _, answer in store.feedback()], _texts(given, store))
        root = _root(given)
        watched = _Watched(sinks, given.sft.steps, each, done_at(root))
        sft.train(model, examples, given.sft, seed=given.seed, folder=root, monitor=watched)
        return _finish(given, model.save)


def train_direct(given: DirectTraining, each: Each) -> Path:
    """Direct alignment. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        with _store(given.store) as store:
            pairs = preferred([answer for _, answer in store.feedback()], _texts(given, store))
        root = _root(given)
        reference = None if isinstance(given.direct.loss, Alone) else _reference(given, model)
        watched = _Watched(sinks, given.direct.steps, each, done_at(root))
        direct.train(model, pairs, given.direct, seed=given.seed, reference=reference, folder=root, monitor=watched)
        return _finish(given, model.save)


def train_unpaired(given: UnpairedTraining, each: Each) -> Path:
    """Alignment from answers found good or bad. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        with _store(given.store) as store:
            answers = [answer for _, answer in store.feedback()]
            verdicts = judged(answers, _texts(given, store), pairs=given.unpaired.pairs)
        root, reference = _root(given), _reference(given, model)
        watched = _Watched(sinks, given.unpaired.steps, each, done_at(root))
        unpaired.train(
            model, verdicts, given.unpaired, seed=given.seed, reference=reference, folder=root, monitor=watched
        )  # fmt: skip
        return _finish(given, model.save)


def train_offline(given: OfflineTraining, each: Each) -> Path:
    """Learning from logged answers with scores. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        with _store(given.store) as store:
            answers = [answer for _, answer in store.feedback()]
            texts = _texts(given, store)
            logged = _scored(_reward(given.reward, model), texts) if given.reward else rated(answers, texts)
        root = _root(given)
        weighs = given.offline.weighing is offline.Weighing.IMPORTANCE
        watched = _Watched(sinks, given.offline.steps, each, done_at(root))
        offline.train(
            model, logged, given.offline, seed=given.seed, logger=_reference(given, model) if weighs else None,
            folder=root, monitor=watched,
        )  # fmt: skip
        return _finish(given, model.save)


def _scored(reward: TextReward, store: TextStore) -> list[Logged]:
    """Every text that was asked about, and what the reward makes of it."""
    names = dict.fromkeys(name for query in store.queries() for name in query.segments)
    texts = [text for text in store.texts(list(names)).values() if text.characters]
    scores = reward.judge(texts).mean.tolist()
    return [Logged(text.prompt, text.completion, score) for text, score in zip(texts, scores, strict=True)]


def train_reward(given: RewardTraining, each: Each) -> Path:
    """A reward model. Returns its folder."""
    with _begun(given) as (model, sinks):
        with _store(given.store) as store:
            answers = [answer for _, answer in store.feedback()]
            fitting = RewardFitting(model, answers, _texts(given, store), config=given.reward, seed=given.seed)
            resume(fitting, _root(given))
            while (metrics := fitting.step()) is not None:
                done, steps = fitting.update.done, fitting.update.steps
                sinks.tell(done, metrics)
                each(done, steps, metrics)
                if done % given.checkpoint_every == 0 or done == steps:
                    keep(fitting, _root(given))
            told = fitting.measures()
            if fitting.judged:
                told["reward/comparisons_heldout"] = float(fitting.judged)
        sinks.tell(fitting.update.steps + 1, told)
        each(fitting.update.steps, fitting.update.steps, told)
        folder = _finish(given, fitting.reward.save)
        if given.classifier:
            _finish(given, lambda fresh: export(fitting.reward, fresh), "classifier")
        return folder


def train_group(given: GroupTraining, each: Each, read: Read) -> Path:
    """A policy gradient on groups. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        reward = _reward(given.reward, model)
        stage = group.Group(
            model, given.group, given.seed, reference=_reference(given, model), mixture=_mixture(given, model),
            process=by_sentence(reward) if given.sentences else None,
        )  # fmt: skip
        asked = Asked.of(_read(given, read), given.prompts, [model, reward.model], room=given.group.max_tokens)
        told = _told(given, asked, sinks, given.group.steps, each)
        score = paid_by(reward, given.aggregate)
        with guarding(given.guard, stage, asked, score) as guard:
            group.train(stage, asked.ids, score, folder=_root(given), each=told, guard=guard)
            _conclude(given, guard)
        return _finish(given, model.save)


def train_ppo(given: PPOTraining, each: Each, read: Read) -> Path:
    """PPO. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        reward = _reward(given.reward, model)
        critic = Critic.from_reward(reward, _body(Path(given.reward), model, "critic"))
        stage = ppo.PPO(
            model, critic, given.ppo, given.seed, reference=_reference(given, model), mixture=_mixture(given, model),
            process=by_sentence(reward) if given.sentences else None,
        )  # fmt: skip
        asked = Asked.of(_read(given, read), given.prompts, [model, reward.model], room=given.ppo.max_tokens)
        told = _told(given, asked, sinks, given.ppo.steps, each)
        score = paid_by(reward, given.aggregate)
        with guarding(given.guard, stage, asked, score) as guard:
            ppo.train(stage, asked.ids, score, folder=_root(given), each=told, guard=guard)
            _conclude(given, guard)
        return _finish(given, model.save)


def _conclude(given: Training, guard: TextGuard | None) -> None:
    """Write down what the guard saw: `guard.json`."""
    if guard is not None:
        path = Path(given.out) / "guard.json"
        with writing(path):
            path.write_bytes(canonical_json(guard.guard.account()) + b"\n")


def train_online(given: OnlineTraining, each: Each, read: Read) -> Path:
    """Online direct alignment. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        reward = _reward(given.reward, model)
        stage = online.Online(model, given.online, given.seed, reference=_reference(given, model))
        asked = Asked.of(_read(given, read), given.prompts, [model, reward.model], room=given.online.max_tokens)
        told = _learned(sinks, given.online.steps, each)
        online.train(stage, asked.ids, paid_by(reward), folder=_root(given), each=told)
        return _finish(given, model.save)


def train_rest(given: RestTraining, each: Each, read: Read) -> Path:
    """Rejection sampling and ReST. Returns the folder of the model."""
    with _begun(given) as (model, sinks):
        reward = _reward(given.reward, model)
        stage = rest.Rest(model, given.rest, given.seed)
        asked = Asked.of(_read(given, read), given.prompts, [model, reward.model], room=given.rest.max_tokens)
        told = _learned(sinks, given.rest.rounds, each)
        rest.train(stage, asked.ids, paid_by(reward), folder=_root(given), each=told)
        return _finish(given, model.save)


def train_distill(given: DistillTraining, each: Each, read: Read) -> Path:
    """Distillation. Returns the folder of the student."""
    with _begun(given) as (model, sinks):
        if not given.teacher:
            raise ConfigError("There is no teacher", expected="a directory of Transformers", next_step="give --teacher")
        stage = distill.Distillation(
            model, LanguageModel.load(given.teacher, dtype=model.dtype), given.distill, given.seed
        )
        prompts: tuple[tuple[int, ...], ...] = ()
        if given.distill.own > 0:
            prompts = Asked.of(
                _read(given, read), given.prompts, [model, stage.teacher], room=given.distill.max_tokens
            ).ids
        texts: list[Group] = []
        if given.distill.own < 1:
            with _store(given.store) as store:
                examples = demonstrated([answer for _, answer in store.feedback()], _texts(given, store))
            texts, _ = sft.rows_to_imitate(model, examples, given.distill.max_length)
        root = _root(given)
        watched = _Watched(sinks, given.distill.steps, each, done_at(root))
        distill.train(stage, prompts, texts, folder=root, monitor=watched)
        return _finish(given, model.save)


def _mixture(given: GroupTraining | PPOTraining, model: LanguageModel) -> Mixture | None:
    """The demonstrations that are imitated along the way, where there are any."""
    if not given.examples:
        return None
    with _store(given.examples) as store:
        examples = demonstrated([answer for _, answer in store.feedback()], _texts(given, store))
    return Mixture(model, examples, given.mixture, given.seed)


def _root(given: Training) -> Path:
    return Path(given.out) / "checkpoints"


@contextmanager
def _store(path: str) -> Generator[Store]:
    """The store of a run or of imports. Raises RunError where there is none."""
    directory = RunDirectory(path)
    directory.require()
    with Store.open(directory.store) as store:
        yield store


def _texts(given: Training, store: Store) -> TextStore:
    """Where texts are looked up, as they are or as conversations."""
    return AsUser(store) if given.as_user else store


def _read(given: Training, read: Read) -> Read:
    """The reader of prompts, as they are or as conversations."""
    return asked_by_user(read) if given.as_user else read


def _told(given: Training, asked: Asked, sinks: Sinks, steps: int, each: Each) -> Callable[[Told], None]:
    def told(one: Told) -> None:
        rollout, prompts = one.experience.rollout, [asked.prompts[place] for place in one.prompts]
        rows = zip(rollout.batch.group.tolist(), rollout.batch.rows, strict=True)
        texts = [asked.words.answer(prompts[prompt].text, row.tolist()) for prompt, row in rows]
        known = rollouts.judged(one.experience)
        rollouts.write(Path(given.out), one.number, rollouts.samples_of(prompts, rollout, texts, known))
        sinks.tell(one.number, one.metrics)
        each(one.number, steps, one.metrics)

    return told


def _learned(sinks: Sinks, steps: int, each: Each) -> Callable[[Learned], None]:
    def told(one: Learned) -> None:
        sinks.tell(one.number, one.metrics)
        each(one.number, steps, one.metrics)

    return told


@contextmanager
def _begun(given: Training) -> Generator[tuple[LanguageModel, Sinks]]:
    """The model that is trained, after the settings were written down or found to be the same."""
    if not given.model.path:
        raise ConfigError(
            "There is no model to train", expected="a directory of Transformers, or a name on the hub",
            next_step="give --model.path; `plaudit model import smollm2 DIRECTORY` makes one",
        )  # fmt: skip
    with enough_memory():
        choice = _settled(given)
        choice.apply()
        _note_data(given)
        sinks = Sinks(Path(given.out), given.log, Path(given.out).name)
        yield policy(given.model, seed=given.seed), sinks


def policy(config: ModelConfig, *, seed: int) -> LanguageModel:
    """A model to train: all its weights, or a fresh adapter, with which it begins as it is.

    An adapter that was trained before is merged in, so that the model without the fresh one is what training begins with.
    Weights that are trained are held in fp32, whatever they are multiplied in.
    """
    loaded = load(config if config.lora is not None else replace(config, dtype=Dtype.FLOAT32))
    module = loaded.module
    if hasattr(module, "peft_config"):
        module = module.merge_and_unload()
    if config.lora is not None:
        module = add_lora(module, config.lora, seed=seed)
    return LanguageModel(module, loaded.tokenizer, dtype=Gemm(config.dtype.value).torch_dtype)


def _reference(given: Training, model: LanguageModel) -> LanguageModel | None:
    """What a model that is trained whole is held against: itself as it was; one with an adapter needs nothing."""
    if model.adapter is not None:
        return None
    loaded = load(given.model)
    module = loaded.module.merge_and_unload() if hasattr(loaded.module, "peft_config") else loaded.module
    return LanguageModel(module.requires_grad_(False), loaded.tokenizer, dtype=model.dtype)


def _reward(path: str, model: LanguageModel) -> TextReward:
    """A fitted reward."""
    if not path:
        raise ConfigError(
            "There is no reward to train against", expected="the folder of a reward",
            next_step="fit one with `plaudit train reward`, and give --reward OUT/model",
        )  # fmt: skip
    return TextReward.load(Path(path), _body(Path(path), model, "reward"))


def _body(folder: Path, model: LanguageModel, name: str) -> LanguageModel:
    """The language model in a folder; its adapter joins the policy's module where both stand on one base, which is held once."""
    settings = folder / "adapter_config.json"
    base = str(model.causal.config._name_or_path)
    if (
        not settings.is_file()
        or model.adapter is None
        or json.loads(settings.read_text())["base_model_name_or_path"] != base
    ):
        return LanguageModel.load(folder, dtype=model.dtype, device=str(model.device))
    with quiet():
        model.module.load_adapter(str(folder), adapter_name=name, is_trainable=True)
    model.module.set_adapter(model.adapter)
    return model.view(name)


def _settled(given: Training) -> Gemm:
    """Write the settings and how to multiply into the folder, or read the latter. Raises RunError when they were others."""
    path, settings = Path(given.out) / SETTINGS, json.loads(canonical_json(to_json(given)))
    found = json.loads(path.read_text()) if path.is_file() else None
    if found is not None:
        if lasting(found["settings"]) != lasting(settings):
            raise RunError(
                "The folder holds a training with other settings", got=str(path),
                next_step="give its own settings to go on, or another folder to begin",
            )  # fmt: skip
        choice = Gemm(**found["gemm"])
    else:
        choice = probe(given.model.dtype.value, threads=given.threads)
        path.parent.mkdir(parents=True, exist_ok=True)
    if found is None or found["settings"] != settings:
        fresh = path.with_suffix(".new")
        with writing(path):
            fresh.write_bytes(canonical_json({"settings": settings, "gemm": choice.plain()}) + b"\n")
            fresh.replace(path)
    return choice


def _note_data(given: Training) -> None:
    """Write down what the store held when the training began: its place in the log, and the hash there."""
    path, store = Path(given.out) / DATA, getattr(given, "store", "")
    if not store or path.is_file():
        return
    with _store(store) as there, writing(path):
        events, head = there.head()
        path.write_bytes(canonical_json({"events": events, "head": head}) + b"\n")


def _finish(given: Training, save: Callable[[Path], None], name: str = "model") -> Path:
    """Write what was learned, all of it or nothing."""
    folder = Path(given.out) / name
    if not folder.exists():
        fresh = folder.with_name(f"{name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        save(fresh)
        fresh.replace(folder)
    return folder


class _Watched:
    """A monitor that writes metrics down."""

    def __init__(self, sinks: Sinks, steps: int, each: Each, done: int) -> None:
        self._sinks, self._steps, self._each, self._done = sinks, steps, each, done

    def report(self, step: int, metrics: Mapping[str, float]) -> Signal:
        """Of so many steps more."""
        self._done += step
        self._sinks.tell(self._done, metrics)
        self._each(self._done, self._steps, metrics)
        return Signal.GO
