"""Readers of published critiques and corrections: Fine-Grained RLHF, SQuALITY, ILF.

A correction is a comparison: what the annotator wrote is better than what it corrects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plaudit.errors import RecordError
from plaudit.exchange import fields
from plaudit.exchange.judgement import THREE_WAY, Judge, Judgement
from plaudit.records import Note, TextSegment

PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""what the six preferences of Fine-Grained RLHF compare; under this order no item has a cycle"""
ASPECTS = ("correctness", "selection", "overall")
TOP = 100
"""highest rating of SQuALITY"""


def fine_grained(row: Any) -> Iterator[Judgement]:
    """Fine-Grained RLHF's QA-Feedback (Wu et al. 2023): {question, passages, prediction 1 .. 4, preference, feedback}.

    The preferences, the error spans of prediction 1 and what it misses, and its corrected form. The prompt holds the
    question behind its passages, each with its title first.
    """
    passages = ["\n".join(map(str, one)) for one in fields.entries(row, "passages") if isinstance(one, list)]
    prompt = "\n\n".join([*passages, fields.text(row, "question")])
    texts = [TextSegment(prompt, fields.text(row, f"prediction {number}")) for number in (1, 2, 3, 4)]
    judge, values = Judge("fine-grained-rlhf"), fields.entries(row, "preference")
    if len(values) != len(PAIRS) or not all(type(value) is int and 0 <= value <= 2 for value in values):
        raise RecordError("The field `preference` does not fit", got=values, expected="six of 0, 1, 2")
    found = [judge.compares(texts[a], texts[b], THREE_WAY[v]) for (a, b), v in zip(PAIRS, values, strict=True)]
    said = fields.field(row, "feedback")
    notes = [_error(one, len(fields.text(row, "prediction 1"))) for one in fields.entries(said, "errors")]
    notes += [_missing(one) for one in fields.entries(said, "missing-info")]
    if notes:
        found.append(judge.notes(texts[:1], notes))
    corrected = TextSegment(prompt, fields.text(said, "corrected-prediction"), "human")
    if corrected.completion not in ("", texts[0].completion):
        found.append(judge.prefers(corrected, texts[0]))
    yield from found


def _error(one: Any, length: int) -> Note:
    start = fields.whole(one, "start", 0, length - 1)
    end, kind = fields.whole(one, "end", start + 1, length), fields.text(one, "error type")
    return Note(fields.named(one, "explanation", ""), start, end, kind)


def _missing(one: Any) -> Note:
    sentences = ", ".join(str(number) for number in fields.entries(one, "sentence_id"))
    where = f"passage {fields.field(one, 'passage_id')}, sentences {sentences}"
    return Note(where, aspect=fields.text(one, "error type"))


def squality(row: Any) -> Iterator[Judgement]:
    """SQuALITY's human evaluation (Wang et al. 2022): {passage-id, questions: {number: {system: {response, reviews}}}}.

    Each reviewer rates each response on three aspects, 0 .. 100, ranks the systems on each, and marks spans. The
    passages and questions themselves are in other files; the prompt names them.
    """
    passage = fields.named(row, "passage-id")
    questions = fields.table(fields.field(row, "questions"), "`questions`")
    found: list[Judgement] = []
    for number in sorted(questions, key=str):
        systems = fields.table(questions[number], "A question")
        prompt = f"SQuALITY passage {passage}, question {number}"
        texts = {name: TextSegment(prompt, fields.text(systems[name], "response"), name) for name in sorted(systems)}
        places: dict[tuple[str, str], list[tuple[TextSegment, int]]] = {}
        for name, text in texts.items():
            for review in fields.entries(systems[name], "reviews"):
                worker = fields.named(review, "worker_id")
                found += _review(Judge("squality", worker), text, review)
                for aspect in ASPECTS:
                    place = fields.whole(review, f"{aspect}-rank", 1, len(texts))
                    places.setdefault((worker, aspect), []).append((text, place))
        for (worker, aspect), order in places.items():
            if len(order) > 1:
                ranked, ranks = [text for text, _ in order], [place for _, place in order]
                found.append(Judge("squality", worker).ranks(ranked, ranks, aspect=_head(aspect)))
    yield from found


def _review(judge: Judge, text: TextSegment, review: Any) -> Iterator[Judgement]:
    for aspect in ASPECTS:
        value = fields.whole(review, f"{aspect}-rating", 0, TOP)
        yield judge.rates(text, value, TOP + 1, aspect=_head(aspect))
    notes = [_remark(one, str(text.completion)) for one in fields.entries(review, "annotations")]
    if notes:
        yield judge.notes((text,), notes)


def _remark(one: Any, response: str) -> Note:
    """A span is given by its words: the first place where they stand is taken, and they are quoted where there is none."""
    words, said = fields.text(one, "selection"), "\n".join(map(str, fields.entries(one, "annotation")))
    start = response.find(words)
    if start < 0 or not words:
        return Note(f"{words!r}: {said}")
    return Note(said, start, start + len(words))


def _head(aspect: str) -> str | None:
    return None if aspect == "overall" else aspect


def ilf(row: Any) -> Iterator[Judgement]:
    """ILF's code feedback (Chen et al. 2023): {prompt, original_model_completion, Feedback, unedited_annotator_completion}.

    What a person says of a model's program, and the person's own version of it. The programs repeat the prompt, which is
    taken off; where the person changed that part too, the whole program is the completion.
    """
    prompt = fields.text(row, "prompt")
    original = TextSegment(prompt, fields.text(row, "original_model_completion").removeprefix(prompt), "model")
    refined = TextSegment(prompt, fields.text(row, "unedited_annotator_completion").removeprefix(prompt), "human")
    judge, said = Judge("ilf", fields.named(row, "worker_id")), fields.text(row, "Feedback")
    found = [judge.notes((original,), [Note(said)])] if said else []
    if refined.completion != original.completion:
        found.append(judge.prefers(refined, original))
    yield from found
