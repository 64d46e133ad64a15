"""Readers of published comparisons: OpenAI's summaries and WebGPT, SHP, PandaLM, LLMBar, UKPConvArg1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plaudit.errors import RecordError
from plaudit.exchange import fields
from plaudit.exchange.judgement import THREE_WAY, Judge, Judgement
from plaudit.records import Choice, Note, TextSegment

SURE = 5
"""middle of the scale of confidence of OpenAI's summaries: 1 surely the first .. 9 surely the second"""
GRADES = 7
"""grades of the axes of OpenAI's summaries"""


def summarize(row: Any) -> Iterator[Judgement]:
    """OpenAI's summarize-from-feedback (Stiennon et al. 2020), both parts: `comparisons` {info, summaries, choice,
    worker, extra.confidence} and `axis` {info, summary.axes, worker} with grades 1 .. 7.
    """
    prompt = _post(fields.table(fields.field(row, "info"), "`info`"))
    judge = Judge("summarize", fields.named(row, "worker"))
    if "summary" in fields.table(row):
        summary = fields.field(row, "summary")
        text = TextSegment(prompt, fields.text(summary, "text"), fields.named(summary, "policy", ""))
        axes = fields.table(fields.field(summary, "axes"), "`axes`")
        for name in sorted(axes):
            grade = None if axes[name] is None else fields.whole(axes, name, 1, GRADES) - 1
            yield judge.rates(text, grade, GRADES, aspect=None if name == "overall" else name)
        return
    both = fields.entries(row, "summaries")
    if len(both) != 2:
        raise RecordError("A comparison needs two summaries", got=len(both))
    first, second = (TextSegment(prompt, fields.text(one, "text"), fields.named(one, "policy", "")) for one in both)
    choice = THREE_WAY[1 + fields.whole(row, "choice", 0, 1)]
    extra = fields.table(fields.table(row).get("extra") or {}, "`extra`")
    confidence = None if extra.get("confidence") is None else fields.whole(extra, "confidence", 1, 9)
    # some rows say "surely the other one"; their strength is not to be trusted, their choice is what was submitted
    agrees = confidence is not None and (confidence > SURE) == (choice is Choice.SECOND) and confidence != SURE
    strength = abs(confidence - SURE) / (SURE - 1) if agrees and confidence is not None else None
    yield judge.compares(first, second, choice, strength=strength)


def _post(info: dict[str, Any]) -> str:
    """The prompt that the paper gives to its policies: a Reddit post, or a news article."""
    if info.get("post") is None:
        return f"Article: {fields.text(info, 'article')}\n\nTL;DR:"
    title, subreddit = fields.named(info, "title", ""), fields.named(info, "subreddit", "")
    return f"SUBREDDIT: r/{subreddit}\nTITLE: {title}\nPOST: {fields.text(info, 'post')}\nTL;DR:"


def webgpt(row: Any) -> Iterator[Judgement]:
    """OpenAI's WebGPT comparisons: {question.full_text, answer_0, answer_1, score_0, score_1}, scores in -1 .. 1."""
    prompt = fields.text(fields.field(row, "question"), "full_text")
    first, second = (TextSegment(prompt, fields.text(row, name)) for name in ("answer_0", "answer_1"))
    margin = fields.number(row, "score_0") - fields.number(row, "score_1")
    if abs(margin) > 2:
        raise RecordError("The scores are out of range", got=margin, expected="score_0 and score_1 in -1 .. 1")
    choice = Choice.TIE if margin == 0 else Choice.FIRST if margin > 0 else Choice.SECOND
    yield Judge("webgpt").compares(first, second, choice, strength=abs(margin) / 2 or None)


def shp(row: Any) -> Iterator[Judgement]:
    """Stanford Human Preferences: {history, human_ref_A, human_ref_B, labels}, 1 when A has more votes."""
    history = fields.text(row, "history")
    first, second = (TextSegment(history, fields.text(row, name), "reddit") for name in ("human_ref_A", "human_ref_B"))
    choice = Choice.FIRST if fields.whole(row, "labels", 0, 1) else Choice.SECOND
    yield Judge("shp", "voters").compares(first, second, choice)


def pandalm(row: Any) -> Iterator[Judgement]:
    """PandaLM's test set: {instruction, input, response1, response2, annotator1 ..}, 0 tie, 1, 2."""
    instruction, given = fields.text(row, "instruction"), fields.text(row, "input")
    prompt = f"{instruction}\n\n{given}" if given else instruction
    policies = fields.named(row, "cmp_key", "").split("_")
    policies = policies if len(policies) == 2 else ["", ""]
    answers = (fields.text(row, "response1"), fields.text(row, "response2"))
    first, second = (TextSegment(prompt, said, who) for said, who in zip(answers, policies, strict=True))
    names = sorted(name for name in row if name.startswith("annotator"))
    if not names:
        raise RecordError("No annotator has answered", expected="annotator1, annotator2, ...")
    chosen = [THREE_WAY[fields.whole(row, name, 0, 2)] for name in names]
    for name, choice in zip(names, chosen, strict=True):
        yield Judge("pandalm", name).compares(first, second, choice)


def llmbar(row: Any) -> Iterator[Judgement]:
    """LLMBar: {input, output_1, output_2, label}, 1 or 2."""
    prompt = fields.text(row, "input")
    first, second = (TextSegment(prompt, fields.text(row, name)) for name in ("output_1", "output_2"))
    yield Judge("llmbar").compares(first, second, THREE_WAY[fields.whole(row, "label", 1, 2)])


class UkpConvArg1:
    """UKPConvArg1 (Habernal & Gurevych 2016) as JSON: first the arguments {id, topic, text}, then the pairs {a1, a2,
    ann: [{w, v, why}]}, v in a1, a2, equal; the reasons become critiques. Only the arguments are kept in memory.
    """

    def __init__(self) -> None:
        self._texts: dict[str, TextSegment] = {}

    def __call__(self, row: Any) -> Iterator[Judgement]:
        """Judgements of one row; arguments have none."""
        if "ann" not in fields.table(row):
            stance = fields.named(row, "stance", "")
            topic = f"{fields.text(row, 'topic')}: {stance}" if stance else fields.text(row, "topic")
            self._texts[fields.text(row, "id")] = TextSegment(topic, fields.text(row, "text"))
            return
        first, second = (self._text(fields.text(row, name)) for name in ("a1", "a2"))
        choices = {"a1": Choice.FIRST, "a2": Choice.SECOND, "equal": Choice.TIE}
        for answer in fields.entries(row, "ann"):
            choice = choices.get(fields.text(answer, "v"))
            if choice is None:
                raise RecordError("The field `v` is not known", got=fields.text(answer, "v"), expected=list(choices))
            judge = Judge("ukpconvarg1", fields.named(answer, "w"))
            yield judge.compares(first, second, choice)
            if why := fields.named(answer, "why", ""):
                yield judge.notes((first, second), [Note(why)])

    def _text(self, id_: str) -> TextSegment:
        if id_ not in self._texts:
            raise RecordError(
                "A pair names an argument that was not read", got=id_, next_step="give the file of arguments first"
            )
        return self._texts[id_]
