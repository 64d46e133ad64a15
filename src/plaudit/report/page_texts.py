"""The page's sections of a run that teaches a language model, where they differ from those of an agent."""

from __future__ import annotations

from plaudit.report.facts import DASH, Facts
from plaudit.report.markup import Html, Style, join, tag
from plaudit.report.parts import facts_list, folded, table

COLUMNS = (
    ("Wins over the start, true reward", "win_rate_gold", Style.PERCENT),
    ("at equal length", "win_rate_gold_length_matched", Style.PERCENT),
    ("Wins, learned reward", "win_rate_reward", Style.PERCENT),
    ("at equal length", "win_rate_reward_length_matched", Style.PERCENT),
    ("KL, nats", "kl", Style.DECIMAL),
    ("Tokens", "length", Style.DECIMAL),
    ("Repetition", "repetition", Style.PERCENT),
    ("No end", "missing_end", Style.PERCENT),
)


def act(facts: Facts) -> Html:
    """Section Act: completions of held-out prompts, drawn at random."""
    rows = [
        ("Language model", facts.text("texts.model")),
        ("Algorithm", facts.text("texts.algorithm")),
        ("Texts kept for questions and this report", facts.number("act.segments", Style.COUNT)),
    ]
    title = tag("h3", None, "Completions of held-out prompts, drawn at random")
    return join([facts_list(rows), title, _samples(facts, "texts.samples")])


def improve(facts: Facts, logged: Html) -> Html:
    """What belongs into section Improve: the newest rollout, with what each completion was worth to the learner."""
    rows = [("Rollouts learned from", facts.number("texts.rollouts", Style.COUNT))]
    return join([facts_list(rows), folded("The newest rollout", _samples(facts, "texts.rollout")), logged])


def check(facts: Facts) -> Html:
    """What belongs into section Check: the policy beside the model that it started from."""
    assert facts.summary.texts is not None
    head = ("", "True reward", "95 % interval", *(title for title, _, _ in COLUMNS), "Policy")
    rows: list[list[Html]] = []
    for i, one in enumerate(facts.summary.texts.measures):
        path = f"texts.measures.{i}"
        name = join(["Round ", facts.number(f"{path}.number", Style.COUNT)]) if one.number else Html("Start")
        cells = [name, facts.number(f"{path}.gold.value", Style.PERCENT, absent=DASH)]
        cells.append(facts.interval(f"{path}.gold", Style.PERCENT) or Html(DASH))
        cells += [facts.number(f"{path}.{field}", style, absent=DASH) for _, field, style in COLUMNS]
        rows.append([*cells, facts.version(f"{path}.policy")])
    return table(head, rows, absent="Nothing has been measured yet.")


def text(facts: Facts, path: str) -> Html:
    """A prompt and its completion."""
    prompt = tag("p", {"class": "prompt"}, facts.text(f"{path}.prompt", absent="no prompt"))
    return join(
        [prompt, tag("p", {"class": "completion"}, facts.text(f"{path}.completion", absent="nothing was said"))]
    )


def _samples(facts: Facts, path: str) -> Html:
    items: list[Html] = []
    for i in range(len(facts.get(path))):
        one = f"{path}.{i}"
        said: list[Html | str] = []
        for name, field in (
            ("true reward", "gold"),
            ("reward", "reward"),
            ("spread", "spread"),
            ("advantage", "advantage"),
            ("KL", "kl"),
        ):
            if facts.get(f"{one}.{field}") is not None:
                said += [f"{name} ", facts.number(f"{one}.{field}", Style.DECIMAL), ", "]
        ending = "" if facts.get(f"{one}.finished") else ", no end"
        note = tag("p", {"class": "numbers"}, *said, facts.number(f"{one}.tokens", Style.COUNT), f" tokens{ending}")
        items.append(tag("li", {"class": "text"}, text(facts, one), note))
    return (
        tag("ul", {"class": "questions"}, *items)
        if items
        else tag("p", {"class": "absent"}, "No completions were kept.")
    )
