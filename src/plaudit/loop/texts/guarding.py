"""The guard of a run on texts: the simulated teacher, who knows the true reward, compares the policy with its best checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from plaudit.language.experience import Score
from plaudit.language.group import Group
from plaudit.language.guard import Judge, Pairs, TextGuard
from plaudit.language.guarded import STRATEGY
from plaudit.language.ppo import PPO
from plaudit.loop.texts.context import TextContext
from plaudit.records import Choice, Comparison, Query, QueryKind, TextSegment
from plaudit.worlds.prompts import Prompt


def guard_of(
    context: TextContext, round_: int, learner: Group | PPO, prompts: Sequence[Prompt], score: Score
) -> TextGuard | None:
    """The guard of a round, which begins anew with the policy as it is; None without settings for one."""
    config = context.config.improve.guard
    if config is None:
        return None
    judge = _judge(context, round_, prompts, config.pairs)
    return TextGuard(learner, context.ids(prompts), config=config, score=score, judge=judge)


def _judge(context: TextContext, round_: int, prompts: Sequence[Prompt], pairs: int) -> Judge:
    """The teacher's answers. They depend on the run's seed and on the question, and are not logged: nobody learns from them."""
    teacher = context.teacher
    assert teacher is not None  # or the settings were refused

    def judge(shown: Pairs) -> list[bool | None]:
        asked = [prompts[place] for place in shown.prompts]
        sides = [context.texts(asked, one) for one in (shown.newest, shown.best)]
        found: list[bool | None] = []
        for number, prompt, *both in zip(shown.numbers, asked, *sides, strict=True):
            texts = [TextSegment(prompt.text, text) for text in both]
            ids = (texts[0].id, texts[1].id)
            query = Query(QueryKind.COMPARISON, ids, (0, 1), round_, shown.check * pairs + number, STRATEGY)
            answer = teacher.answer(query, texts) if ids[0] != ids[1] else None
            found.append(_said(answer) if isinstance(answer, Comparison) else None)
        return found

    return judge


def _said(answer: Comparison) -> bool | None:
    match answer.choice:
        case Choice.FIRST:
            return True
        case Choice.SECOND:
            return False
        case _:
            return None
