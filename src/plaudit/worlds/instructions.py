"""Prompts that say what an answer must look like, and a program that sees whether it does.

The constraints and their names are those of IFEval (Zhou et al. 2023, https://arxiv.org/abs/2311.07911, table 4), so its own
prompts can be read; `draw` makes short ones that a small model can follow now and then. What a program sees is a true reward
that no learner has to be shown: simulated annotators answer from it, and a policy is judged by it.

Checks follow the definitions of the paper and not its code to the letter: sentences end by marks alone
(`plaudit.records.sentences`), words are runs of letters, digits and underscores. In which language an answer is written is not
looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.errors import RecordError
from plaudit.records import sentences
from plaudit.run.seeds import generator

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Constraint:
    """Something that an answer must be."""

    id: str
    """as in IFEval, for example `punctuation:no_comma`"""
    settings: Settings = field(default_factory=dict[str, Any])
    """as in IFEval, for example {"relation": "at least", "num_words": 30}"""


@dataclass(frozen=True, slots=True)
class Instruction:
    """A prompt and its constraints."""

    prompt: str
    constraints: tuple[Constraint, ...]


def holds(constraint: Constraint, answer: str) -> bool | None:
    """Whether an answer keeps to a constraint; None where this cannot be seen. An empty answer keeps to nothing.

    Raises:
        RecordError: the constraint is unknown, or lacks a setting.
    """
    if constraint.id == UNSEEN:
        return None
    check = CHECKS.get(constraint.id)
    if check is None:
        raise RecordError("Nobody knows how to check this", got=constraint.id, expected=sorted([*CHECKS, UNSEEN]))
    if not answer.strip():
        return False
    try:
        return check(answer, constraint.settings)
    except KeyError as error:
        raise RecordError("A constraint lacks a setting", got=dict(constraint.settings), expected=str(error)) from error


def kept(instruction: Instruction, answer: str) -> float:
    """Share of the constraints that can be seen and that an answer keeps to; NaN where none can be seen."""
    found = [one for one in (holds(constraint, answer) for constraint in instruction.constraints) if one is not None]
    return float(np.mean(found)) if found else float("nan")


def read(path: Path) -> list[Instruction]:
    """Instructions from a file in IFEval's format, a JSON object on each line. Raises RecordError naming a line that is none."""
    found: list[Instruction] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            pairs = zip(row["instruction_id_list"], row["kwargs"], strict=True)
            constraints = tuple(
                Constraint(id_, {k: v for k, v in said.items() if v is not None}) for id_, said in pairs
            )
            found.append(Instruction(str(row["prompt"]), constraints))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(
                "A line holds no instruction",
                got=f"{path}, line {number}: {error!r}",
                expected="prompt, instruction_id_list and kwargs",
            ) from error
    return found


def draw(count: int, seed: int, *, constraints: int = 1) -> list[Instruction]:
    """Short instructions, no two alike: a task, and what its answer must look like.

    Args:
        count: how many; there are about 7,800 with one constraint.
        seed: of the draws.
        constraints: of each instruction, of different sorts.

    Raises:
        RecordError: there are not so many.
    """
    rng = generator(seed, "instructions", constraints)
    found: dict[str, Instruction] = {}
    known = 0
    while len(found) < count and known < STALE:
        task = TASKS[int(rng.integers(len(TASKS)))].format(TOPICS[int(rng.integers(len(TOPICS)))])
        sorts = [WISHES[sort] for sort in rng.permutation(len(WISHES))[:constraints].tolist()]
        wishes = [sort[int(rng.integers(len(sort)))] for sort in sorts]
        prompt = " ".join([task, *(said for said, _ in wishes)])
        known = known + 1 if prompt in found else 0
        found.setdefault(prompt, Instruction(prompt, tuple(one for _, one in wishes)))
    if len(found) < count:
        raise RecordError("There are not so many instructions", got=count, expected=f"up to {len(found)} or so")
    return list(found.values())


def _related(number: int, relation: str, limit: int) -> bool:
    return number < limit if relation == "less than" else number >= limit


def _words(answer: str) -> list[str]:
    return re.findall(r"\w+", answer)


def _all_words(answer: str, words: list[str], found: bool) -> bool:
    return all((re.search(rf"\b{re.escape(word)}\b", answer, re.IGNORECASE) is not None) is found for word in words)


def _paragraphs(answer: str, settings: Settings) -> bool:
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", answer)]
    parts = parts[1 if not parts[0] else 0 : -1 if not parts[-1] else None]
    return all(parts) and len(parts) == settings["num_paragraphs"]


def _nth_paragraph(answer: str, settings: Settings) -> bool:
    parts = [part.strip() for part in re.split(r"\n\n", answer) if part.strip()]
    if len(parts) != settings["num_paragraphs"] or not 1 <= settings["nth_paragraph"] <= len(parts):
        return False
    first = parts[settings["nth_paragraph"] - 1].split()[0].strip("\"'([{").lower()
    return re.split(r"[.,?!'\")\]}]", first)[0] == str(settings["first_word"]).lower()


def _postscript(answer: str, settings: Settings) -> bool:
    marks = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    mark = marks.get(settings["postscript_marker"], re.escape(str(settings["postscript_marker"]).lower()))
    return re.search(rf"\s*{mark}.*$", answer.lower(), re.MULTILINE) is not None


def _highlights(answer: str, settings: Settings) -> bool:
    single = [part for part in re.findall(r"\*[^\n*]*\*", answer) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n*]*\*\*", answer) if part.strip("*").strip()]
    return len(single) + len(double) >= settings["num_highlights"]


def _is_json(answer: str) -> bool:
    bare = re.sub(r"^```(json)?|```$", "", answer.strip(), flags=re.IGNORECASE).strip()
    try:
        json.loads(bare)
    except ValueError:
        return False
    return True


def _two_answers(answer: str) -> bool:
    parts = [part.strip() for part in answer.split("******")]
    inner = [part for place, part in enumerate(parts) if part or 0 < place < len(parts) - 1]
    return len(inner) == 2 and all(inner) and inner[0] != inner[1]


def _bullets(answer: str) -> int:
    return len(re.findall(r"^\s*\*[^*].*$", answer, re.MULTILINE)) + len(re.findall(r"^\s*-.*$", answer, re.MULTILINE))


def _sections(answer: str, settings: Settings) -> bool:
    return len(re.findall(rf"{re.escape(settings['section_spliter'])}\s?\d+", answer)) >= settings["num_sections"]


STALE = 300
"""instructions in a row that were drawn before, after which there are hardly any others"""
ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
LENGTH = "length_constraints"
UNSEEN = "language:response_language"
CHECKS: dict[str, Callable[[str, Settings], bool]] = {
    "keywords:existence": lambda answer, said: _all_words(answer, said["keywords"], True),
    "keywords:forbidden_words": lambda answer, said: _all_words(answer, said["forbidden_words"], False),
    "keywords:frequency": lambda answer, said: _related(
        len(re.findall(re.escape(said["keyword"]), answer, re.IGNORECASE)), said["relation"], said["frequency"]
    ),
    "keywords:letter_frequency": lambda answer, said: _related(
        answer.lower().count(said["letter"].lower()), said["let_relation"], said["let_frequency"]
    ),
    "length_constraints:number_sentences": lambda answer, said: _related(
        len(sentences(answer)), said["relation"], said["num_sentences"]
    ),
    "length_constraints:number_words": lambda answer, said: _related(
        len(_words(answer)), said["relation"], said["num_words"]
    ),
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "detectable_content:number_placeholders": lambda answer, said: (
        len(re.findall(r"\[.*?\]", answer)) >= said["num_placeholders"]
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": lambda answer, said: _bullets(answer) == said["num_bullets"],
    "detectable_format:constrained_response": lambda answer, said: any(one in answer for one in ANSWERS),
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": lambda answer, said: _is_json(answer),
    "detectable_format:title": lambda answer, said: re.search(r"<<[^\n]*[^\s<>][^\n]*>>", answer) is not None,
    "combination:two_responses": lambda answer, said: _two_answers(answer),
    "combination:repeat_prompt": lambda answer, said: (
        answer.strip().lower().startswith(said["prompt_to_repeat"].strip().lower())
    ),
    "startend:end_checker": lambda answer, said: (
        answer.strip().strip('"').lower().endswith(said["end_phrase"].strip().lower())
    ),
    "startend:quotation": lambda answer, said: (
        len(answer.strip()) > 1 and answer.strip()[0] == answer.strip()[-1] == '"'
    ),
    "change_case:capital_word_frequency": lambda answer, said: _related(
        sum(word.isupper() for word in _words(answer)), said["capital_relation"], said["capital_frequency"]
    ),
    "change_case:english_capital": lambda answer, said: answer.isupper(),
    "change_case:english_lowercase": lambda answer, said: answer.islower(),
    "punctuation:no_comma": lambda answer, said: "," not in answer,
}
"""by IFEval's name, whether an answer keeps to a constraint with these settings"""

TASKS = (
    "Write a few sentences about {}.", "Describe {}.", "Explain {} to a child.", "Give some advice about {}.",
    "What is good about {}?", "Tell me something about {}.", "Write a short note to a friend about {}.",
    "What should everybody know about {}?",
)  # fmt: skip
TOPICS = (
    "the sea", "bread", "cats", "a garden", "winter", "the moon", "reading books", "a train journey", "birds", "tea",
    "a small town", "music", "bicycles", "the night sky", "cooking rice", "an old house", "rivers", "friendship", "maps",
    "a rainy day", "the desert", "learning to swim", "a library", "clocks", "mountains", "honey", "a market", "dogs",
    "sleep", "the wind", "painting", "a bridge", "snow", "a long walk", "the stars", "apples", "letters", "a lighthouse",
    "horses", "the forest",
)  # fmt: skip
WISHES: tuple[tuple[tuple[str, Constraint], ...], ...] = (
    (("Do not use any commas.", Constraint("punctuation:no_comma")),),
    (
        ("Use only lowercase letters.", Constraint("change_case:english_lowercase")),
        ("Use only capital letters.", Constraint("change_case:english_capital")),
    ),
    (("Give it a title in double angular brackets, like <<title>>.", Constraint("detectable_format:title")),),
    (
        *(
            (f"Use {relation} {n} words.", Constraint(f"{LENGTH}:number_words", {"relation": relation, "num_words": n}))
            for relation, n in (
                ("less than", 20),
                ("less than", 30),
                ("less than", 40),
                ("at least", 40),
                ("at least", 60),
            )
        ),
    ),
    (
        ("Put your whole answer in double quotation marks.", Constraint("startend:quotation")),
        *(
            (
                f"Answer in exactly {n} bullet points.",
                Constraint("detectable_format:number_bullet_lists", {"num_bullets": n}),
            )
            for n in (2, 3, 4)
        ),
    ),
    tuple(
        (f"Use the word {word}.", Constraint("keywords:existence", {"keywords": [word]}))
        for word in ("quiet", "first", "because", "little", "together")
    ),
    tuple(
        (f"Do not use the word {word}.", Constraint("keywords:forbidden_words", {"forbidden_words": [word]}))
        for word in ("the", "and", "is", "of")
    ),
    tuple(
        (f'End with the words "{said}"', Constraint("startend:end_checker", {"end_phrase": said}))
        for said in ("That is all.", "Good night.", "Thank you.")
    ),
)
"""what is asked for, in words and as a constraint, by sort; what excludes each other is of one sort"""
