"""A study without a run: questions about texts that were imported, put to people in the studio.

The questions are drawn from what lies in the store by the study's seed, so the same settings again ask the same. The settings
stand in the log as an event `study.set`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from plaudit.ask.mix import draw_kind, segments_of, shares_of
from plaudit.ask.service import ServiceConfig
from plaudit.errors import ConfigError
from plaudit.quality.agreed import agreed
from plaudit.quality.gold import asked_again, set_gold
from plaudit.records import Query, QueryKind, TextSegment, from_json, to_json
from plaudit.run.seeds import generator
from plaudit.store.store import Store

EVENT = "study.set"
STRATEGY = "study"
"""of the questions of a study"""


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """What a study asks, and how."""

    questions: int = 100
    """questions, gold and repeats among them"""
    mix: dict[str, float] = field(default_factory=lambda: {"comparison": 1.0})
    """shares of the forms: comparison, rating, ranking, demonstration, correction, critique, flag"""
    levels: int = 5
    """grades on the scale of ratings"""
    ranking_size: int = 4
    """most completions of a ranking"""
    aspect: str = ""
    """what alone is judged, for example coherence; empty: overall"""
    constraint: str = ""
    """what flags are about, for example privacy"""
    gold_share: float = 0.0
    """share of the comparisons whose right answer is known: what three or more annotators of the import agree on, or was set by hand"""
    repeat_share: float = 0.0
    """share of the questions that come a second time, to the person who answered them first"""
    seed: int = 0
    """of what is asked"""
    service: ServiceConfig = field(default_factory=ServiceConfig)
    """how people are asked"""

    @property
    def kinds(self) -> dict[QueryKind, float]:
        """Shares of the questions by kind."""
        return shares_of(self.mix, people=True)

    def __post_init__(self) -> None:
        shares = self.gold_share, self.repeat_share
        if self.questions < 1 or self.levels < 2 or self.ranking_size < 2 or min(shares) < 0 or sum(shares) >= 1:
            raise ConfigError(
                "The settings of the study are out of range",
                got=f"questions {self.questions}, levels {self.levels}, ranking_size {self.ranking_size}, gold and repeats {shares}",
                expected="questions >= 1, levels >= 2, ranking_size >= 2, shares of gold and repeats below 1 in all",
            )
        if QueryKind.STEPS in self.kinds:
            raise ConfigError("Texts have no steps", got=dict(self.mix), expected="other kinds of questions")
        if (QueryKind.FLAG in self.kinds) != bool(self.constraint):
            raise ConfigError(
                "Flags and the constraint they are about go together", got=(dict(self.mix), self.constraint)
            )


def begin(store: Store, config: StudyConfig) -> list[Query]:
    """Ask the questions of a study; the same settings again change nothing, others go on with other questions.

    Returns the questions that are new.

    Raises:
        ConfigError: the store has too few texts for a kind of question.
    """
    settings = to_json(config)
    earlier = [event.payload for event in store.events(kinds={EVENT})]
    number = earlier.index(settings) if settings in earlier else len(earlier)
    already = store.queries()
    asked = _questions(config, number, _by_prompt(store))
    golden = agreed(already, [answer for _, answer in store.feedback()]) if config.gold_share else {}
    gold, repeats = _again(config, number, asked, [query for query in already if query.id in golden])
    right = {new.id: golden[old.id] for new, old in gold}
    there = {query.id for query in already}
    fresh = [query for query in [*asked, *(new for new, _ in gold), *repeats] if query.id not in there]
    store.append(EVENT, settings, f"study/{number}")
    store.add_queries(fresh)
    set_gold(store, right)
    return fresh


def service_of(store: Store) -> ServiceConfig:
    """How people are asked about what is in a store: as the newest study says, or as the run file does."""
    settings: dict[str, Any] | None = None
    for event in store.events(kinds={EVENT, "run.created"}):
        if event.kind == EVENT:
            settings = event.payload["service"]
        else:
            ask, seed = event.payload.get("config", {}).get("ask", {}), event.payload.get("config", {}).get("seed", 0)
            shared = ("instruction", "overlap", "screening", "screen", "gold_test", "scratch_share", "assisted_share")
            settings = {name: ask[name] for name in shared if name in ask} | {"seed": seed}
    return from_json(ServiceConfig, settings or {})


def _by_prompt(store: Store) -> list[list[TextSegment]]:
    found: dict[Any, list[TextSegment]] = {}
    for event in store.events(kinds={"segment.added"}):
        if "completion" in event.payload:
            text = from_json(TextSegment, event.payload)
            found.setdefault(text.prompt, []).append(text)
    return list(found.values())


def _questions(config: StudyConfig, number: int, texts: Sequence[Sequence[TextSegment]]) -> list[Query]:
    """New questions, each about a prompt of its own as long as there are such."""
    count = config.questions - sum(_checks(config))
    kinds = [draw_kind(config.kinds, config.seed, index) for index in range(count)]
    order = {kind: _order(config, number, kind, texts) for kind in set(kinds)}
    found: list[Query] = []
    for index, kind in enumerate(kinds):
        rng = generator(config.seed, number, "study", index)
        prompts = order[kind]
        turn, place = divmod(sum(one is kind for one in kinds[:index]), len(prompts))
        among = texts[prompts[place]]
        size = min(segments_of(kind, config.ranking_size), len(among))
        chosen = [int(i) for i in generator(config.seed, number, "texts", place, turn).permutation(len(among))[:size]]
        found.append(
            Query(
                kind,
                tuple(among[i].id for i in chosen),
                tuple(int(i) for i in rng.permutation(size)),
                number,
                index,
                STRATEGY,
                levels=config.levels if kind is QueryKind.RATING else None,
                aspect=config.aspect or None if kind is not QueryKind.FLAG else None,
                constraint=config.constraint if kind is QueryKind.FLAG else None,
            )
        )
    return found


def _order(config: StudyConfig, number: int, kind: QueryKind, texts: Sequence[Sequence[TextSegment]]) -> list[int]:
    """Prompts with enough completions for a kind, in the order in which they are asked about."""
    fit = [number for number, some in enumerate(texts) if len(some) >= kind.segments]
    if not fit:
        raise ConfigError(
            f"No prompt has enough completions for a {kind.value}",
            got=f"{len(texts)} prompts",
            expected=f"{kind.segments} completions of one prompt",
            next_step="import texts with `plaudit import`, or leave this kind out of the mix",
        )
    return [fit[int(i)] for i in generator(config.seed, number, "prompts", kind.value).permutation(len(fit))]


def _checks(config: StudyConfig) -> tuple[int, int]:
    return math.floor(config.gold_share * config.questions), math.floor(config.repeat_share * config.questions)


def _again(
    config: StudyConfig, number: int, asked: Sequence[Query], golden: Sequence[Query]
) -> tuple[list[tuple[Query, Query]], list[Query]]:
    """Gold, each with the question that it asks again, and repeats of this study's own questions."""
    gold, repeats = _checks(config)
    rng = generator(config.seed, number, "again")
    old = [golden[int(i)] for i in rng.permutation(len(golden))[:gold]]
    old += [asked[int(i)] for i in rng.permutation(len(asked))[:repeats]]
    new = [
        asked_again(query, round=number, index=len(asked) + place, seed=config.seed) for place, query in enumerate(old)
    ]
    split = len(new) - repeats
    return list(zip(new[:split], old[:split], strict=True)), new[split:]
