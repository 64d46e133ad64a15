"""The command `plaudit`: one module per verb, imported only when its verb is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from plaudit import __version__
from plaudit.errors import PlauditError
from plaudit.run.imports import undisturbed

VERBS = {
    "demo": "teach Pendulum to swing up from 50 simulated comparisons, with a report",
    "init": "answer a few questions, get a run file (or advice to do something else)",
    "run": "start a run from a run file",
    "resume": "continue a run where it stopped",
    "study": "put questions about imported texts to people",
    "studio": "label in the browser for a run",
    "report": "write the report of a run as HTML and JSON",
    "doctor": "say in plain words what is wrong with a run, this installation, a language model or a reward",
    "audit": "check the event log, its projections and all stored behaviour",
    "where": "show what lies where, and how big it is",
    "gc": "delete checkpoints that are no longer needed",
    "import": "bring published feedback about texts, or recorded episodes, into a store",
    "model": "make the directory of a language model from a GGUF file, or of what was taught, with its card",
    "reward": "the card of any reward: accuracy beside noise and trivial scorers, slices, edits, calibration",
    "train": "one stage of teaching a language model: sft, reward, direct, group, ppo",
    "judge": "let a language model judge texts: its agreement with people, its answers, orders planted in texts",
    "chat": "talk to a language model in the terminal, and send what you see into a labelling queue",
    "serve": "serve a language model to OpenAI's clients, on this machine",
    "export": "write feedback about texts as a file that others read, with a manifest",
    "copy": "carry a store to another place: SQLite to PostgreSQL, and back",
    "backup": "copy everything that a run has, also while it goes on",
    "restore": "make a run's directory from its backup",
    "rm": "delete a run with everything in it, after asking",
    "retract": "take an answer out of later fits, and say which models learned from it",
    "person": "keep, write out or erase the personal data of an annotator",
    "migrate": "bring an older run to the present format",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit status: 0 done, 1 problems found, 2 an error that is explained, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_help())
        return 0
    if given[0] == "--version":
        print(f"plaudit {__version__}")
        return 0
    verb, rest = given[0], given[1:]
    if verb not in VERBS:
        print(f"plaudit: there is no verb {verb!r}.\n\n{_help()}", file=sys.stderr)
        return 2
    try:
        module = "import_" if verb == "import" else verb  # a keyword cannot name a module
        with undisturbed():
            chosen = importlib.import_module(f"plaudit.cli.{module}")
        return chosen.main(rest)
    except PlauditError as error:
        print(f"plaudit {verb}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"plaudit {verb}: the system refused: {error}. What was finished is kept.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nplaudit {verb}: interrupted; what was finished is kept.", file=sys.stderr)
        return 130


def _help() -> str:
    lines = [
        "plaudit: human judgement into behaviour.",
        "",
        "usage: plaudit VERB ...   (plaudit VERB --help explains one)",
        "",
    ]
    return "\n".join(lines + [f"  {verb:<8} {text}" for verb, text in VERBS.items()])


if __name__ == "__main__":
    sys.exit(main())
