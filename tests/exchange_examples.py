"""Rows in the published shape of each format, made up here unless a test says otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from plaudit.exchange.bring import Brought, Problem, bring, open_store
from plaudit.exchange.formats import Format, reader
from plaudit.exchange.judgement import Judgement

CHAT = [{"role": "user", "content": "Hi"}]


def said(words: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": words}]


ROWS: dict[Format, dict[str, Any]] = {
    Format.TRL_PREFERENCE: {"prompt": "Say hi", "chosen": "hi", "rejected": "no"},
    Format.TRL_UNPAIRED: {"prompt": "Say hi", "completion": "hi", "label": True},
    Format.TRL_PROMPT_COMPLETION: {"prompt": CHAT, "completion": said("Hello")},
    Format.NEMO_RANKING: {
        "context": CHAT,
        "completions": [
            {"rank": 1, "completion": said("b")},
            {"rank": 0, "completion": said("a")},
            {"rank": 1, "completion": said("c")},
        ],
        "task_name": "made-up",
    },
    Format.HH: {
        "chosen": "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: and?\n\nAssistant: good",
        "rejected": "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: and?\n\nAssistant: bad",
    },
    Format.QUESTION_RESPONSE: {
        "system": "",
        "history": [],
        "question": "为什么天空是蓝色的？",
        "response_chosen": "因为瑞利散射。",
        "response_rejected": "不知道。",
    },
    Format.SUMMARIZE: {
        "info": {"id": "t3_x", "post": "It rained.", "title": "Rain", "subreddit": "weather"},
        "split": "train",
        "summaries": [
            {"text": "Wet.", "policy": "sup1", "note": None},
            {"text": "Dry.", "policy": "ppo7", "note": None},
        ],
        "choice": 0,
        "worker": "w1",
        "batch": "b",
        "extra": {"confidence": 2},
    },
    Format.WEBGPT: {
        "question": {"dataset": "eli5", "id": "q", "full_text": "Why?"},
        "quotes_0": {"title": [], "extract": []},
        "answer_0": "Because [1].",
        "tokens_0": {},
        "score_0": -0.5,
        "quotes_1": {"title": [], "extract": []},
        "answer_1": "So it is.",
        "tokens_1": {},
        "score_1": 0.5,
    },
    Format.SHP: {
        "post_id": "p",
        "domain": "askculinary_train",
        "history": "How hot?",
        "human_ref_A": "Very.",
        "human_ref_B": "Not.",
        "score_A": 3,
        "score_B": 30,
        "labels": 0,
        "score_ratio": 10.0,
    },
    Format.STACK_EXCHANGE: {
        "qid": 1,
        "question": "How?",
        "date": "2020-01-01",
        "metadata": ["https://example.org"],
        "response_j": "Like so.",
        "response_k": "Dunno.",
    },
    Format.GPTJ_PAIRS: {"prompt": "Write", "chosen": "A good one", "rejected": "bad"},
    Format.PANDALM: {
        "idx": 0,
        "cmp_key": "bloom-7b_llama-7b",
        "instruction": "Shorten.",
        "input": "A long one.",
        "response1": "Short.",
        "response2": "A long one",
        "annotator1": 1,
        "annotator2": 0,
        "annotator3": 2,
    },
    Format.LLMBAR: {"input": "Add 1 and 1", "output_1": "3", "output_2": "2", "label": 2},
    Format.FINE_GRAINED_RLHF: {
        "question": "When?",
        "passages": [["Title", "One.", "Two."]],
        "gold": "Then.",
        **{f"prediction {n}": f"Answer number {n}" for n in (1, 2, 3, 4)},
        "feedback": {
            "errors": [{"error type": "Irrelevant", "explanation": "why", "start": 0, "end": 6}],
            "missing-info": [{"error type": "Missing-Answer", "passage_id": 0, "sentence_id": [1, 2]}],
            "corrected-prediction": "Then, as it says.",
        },
        "preference": [1, 1, 0, 2, 1, 2],
    },
    Format.SQUALITY: {
        "passage-id": "7",
        "questions": {
            "0": {
                system: {
                    "response": f"By {system}.",
                    "reviews": [
                        {
                            "annotations": [{"annotation": ["odd", "very"], "selection": "By"}],
                            "system": system,
                            "worker_id": "3",
                            **{f"{aspect}-rating": 10 * place for aspect in ("correctness", "selection", "overall")},
                            **{f"{aspect}-rank": place for aspect in ("correctness", "selection", "overall")},
                        }
                    ],
                    "overall": {},
                }
                for place, system in enumerate(("bart", "human"), 1)
            }
        },
    },
    Format.ILF: {
        "task_id": 1,
        "prompt": "def f():\n",
        "Feedback": "It must return 1.",
        "original_model_completion": "def f():\n    return 2\n",
        "unedited_annotator_completion": "def f():\n    return 1\n",
        "passed": True,
        "worker_id": "w",
    },
}
"""one row of every format but plaudit's own, UKPConvArg1 (two sorts of rows) and Minari (arrays)"""


def one(format: Format, row: Any) -> list[Judgement]:
    """What a reader makes of one row."""
    found = list(reader(format)(row))
    assert all(isinstance(item, Judgement) for item in found)
    return found  # type: ignore[return-value]


def put(path: Path, rows: Iterable[Any]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def brought(
    directory: Path, format: Format, *files: Path, consented: str | None = None
) -> tuple[list[Brought], list[Problem]]:
    """Import into a directory; what each file gave, and the bad rows."""
    problems: list[Problem] = []
    with open_store(directory) as store:
        done = list(bring(store, format, files, consented=consented, on_problem=problems.append))
        checked = store.verify()
        assert checked.ok, checked.problems[:3]
    return done, problems
